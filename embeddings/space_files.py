"""A space on disk: its arrays as safetensors, the ids of its items as Parquet, and a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.collaborative import Recipe, Space

ARRAYS, ITEMS, CARD = "space.safetensors", "items.parquet", "card.json"


class SpaceError(ValueError):
    """A space that is not there or does not fit; the message says what to do."""


class Stored(NamedTuple):
    """A space, whose items it knows and what its card says."""

    space: Space
    item_id: pa.Array
    """Id of each row, `[items]`."""
    card: dict[str, Any]


def save_space(folder: Path, space: Space, item_ids: pa.Array, card: Mapping[str, Any]) -> None:
    """Write a space below `folder`; the same space gives the same bytes.

    Parameters
    ----------
    item_ids
        The id of each row of `space.vectors`.
    card
        Must hold `model`, the id of the text model; gets the recipe.
    """
    from safetensors.numpy import save

    if not card.get("model") or len(item_ids) != len(space.vectors):
        raise SpaceError("a space needs the id of its text model and an id for each of its items")
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(space, name) for name in ("vectors", "users_of", "coefficients")}
    (folder / ARRAYS).write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    pq.write_table(pa.table({"item_id": item_ids.cast(pa.string())}), folder / ITEMS, compression="zstd")
    (folder / CARD).write_text(json.dumps({**card, "recipe": space.recipe._asdict()}, indent=2, sort_keys=True))


def load_space(folder: Path) -> Stored:
    """Read a space that `save_space` wrote.

    Raises
    ------
    SpaceError
        If a file is missing, or the files do not belong together.
    """
    from safetensors.numpy import load

    try:
        arrays, card = load((folder / ARRAYS).read_bytes()), json.loads((folder / CARD).read_text())
        item_id = pq.read_table(folder / ITEMS)["item_id"].combine_chunks()
    except FileNotFoundError as error:
        raise SpaceError(f"no space: {error.filename} is missing; train a version that has one") from error
    space = Space(**arrays, recipe=Recipe(**card["recipe"]))
    items, dimension = space.vectors.shape
    fits = len(item_id) == len(space.users_of) == items and dimension == space.recipe.dimension
    if not fits or space.coefficients.shape[1] != dimension:
        raise SpaceError(f"the files in {folder} do not belong together: train the version again")
    return Stored(space, item_id, card)

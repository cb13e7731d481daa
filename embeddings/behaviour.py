"""A behaviour table as arrays: whose events they are, what they weigh and where their vectors are."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.vector_files import VectorFile


class Window(NamedTuple):
    """The events of one window that have a vector, ordered by user and event id."""

    starts: NDArray[np.int64]
    """`[users + 1]`: the events of user u are rows `starts[u]` to `starts[u + 1]`."""
    item_row: NDArray[np.int32]
    """Row of the event's item in the item vectors; -1 without."""
    text_row: NDArray[np.int32]
    """Row of the event's own text in the event vectors; -1 without."""
    weight: NDArray[np.float64]
    events: int
    """Events of the window, those without any vector included."""


def event_vector_rows(
    item_ids: pa.ChunkedArray, event_ids: pa.ChunkedArray, items: VectorFile, texts: VectorFile
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return where each event's vectors are: the row of its item and the row of its own text, int32 `[n]`, -1 without.

    The event's own vector `e_i` is the mean of `items.take` and `texts.take` of the rows that are not -1; an event with
    neither has none, and no share in its window.
    """
    return items.rows_of(item_ids), texts.rows_of(event_ids)


def read_window(file: Path, users: pa.Array, items: VectorFile, texts: VectorFile) -> Window:
    """Read a behaviour table; `users` are the ids that number them.

    Raises
    ------
    ValueError
        If a weight is negative, null or not finite, or a user is not among `users`.
    """
    table = pq.read_table(file, columns=["user_id", "item_id", "event_id", "decay_weight"])
    user = pc.fill_null(pc.index_in(table["user_id"], value_set=users), -1).to_numpy()
    weight = table["decay_weight"].cast(pa.float64()).to_numpy()
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(
            f"{file.name} has a decay_weight that is negative, null or not finite: check the event weights"
        )
    if (user < 0).any():
        raise ValueError(f"{file.name} has a user that dim_users lacks: build both in one run")
    item_row, text_row = event_vector_rows(table["item_id"], table["event_id"], items, texts)
    keys = pa.table({"user": user, "event_id": table["event_id"]})
    order = pc.sort_indices(keys, sort_keys=[("user", "ascending"), ("event_id", "ascending")]).to_numpy()
    order = order[((item_row >= 0) | (text_row >= 0))[order]]
    starts = np.searchsorted(user[order], np.arange(len(users) + 1))
    return Window(starts, item_row[order], text_row[order], weight[order], len(table))

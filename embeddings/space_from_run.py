"""A space learned from what a run holds: the behaviour part of a trained version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from embeddings.collaborative import RECIPE, Recipe, learn_space
from embeddings.held import read_run
from embeddings.space_files import save_space


def train_space(tables: Path, vectors: Path, as_of: datetime, folder: Path, recipe: Recipe = RECIPE) -> dict[str, Any]:
    """Learn a space from the events before `as_of` and save it below `folder`; return its card.

    The same tables and vectors give the same bytes.

    Parameters
    ----------
    tables, vectors
        Of a run that holds everybody, as for `fusion.from_run.train_gate`.
    as_of
        UTC; later events in the tables are left out.
    """
    held = read_run(tables, vectors, as_of)
    known = held.behaviour.at(held.behaviour.item >= 0)
    card = {
        "model": held.model,
        "training_data_end": as_of.astimezone(UTC).isoformat(),
        "items": len(np.unique(known.item)),
        "users": len(np.unique(known.user)),
    }
    save_space(folder, learn_space(known.user, known.item, held.item_text, recipe), held.item_id, card)
    return card

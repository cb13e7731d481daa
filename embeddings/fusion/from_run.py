"""A gate trained on what a run holds: its behaviour tables, looked at as they were some weeks ago, and its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.examples import Examples, look_back
from embeddings.fusion.learned import GateError, save_gate
from embeddings.fusion.training import SEED, best_fixed_gate, train_network, usable
from embeddings.held import read_run
from embeddings.identity import joined_id

HORIZON_DAYS = 7.0
MOMENTS = 8
"""Horizons before `as_of` that examples come from; the newest with any is held out to judge, then trained on too."""
USERS, COMPETING = 1000, 1000
"""At most so many users of a moment, and items that compete for them."""
ENOUGH = 50
"""Examples, users with both windows and a wanted item, that training needs beside the held-out ones."""


def train_gate(
    tables: Path, vectors: Path, as_of: datetime, file: Path, horizon_days: float = HORIZON_DAYS, seed: int = SEED
) -> dict[str, Any]:
    """Train a gate for joined vectors on the horizons before `as_of` and write it with its card; return the card.

    The same tables and vectors give the same bytes.

    Vectors, windows and competing items are taken as they were at each moment. Of events without an item (a search),
    those older than the run's long window are not there.

    Parameters
    ----------
    tables
        Folder of the run's `user_events`, `long_window_behaviour`, `short_window_behaviour` and `run_settings`,
        Parquet.
    vectors
        Folder of its vectors, joined or of text alone: those of text alone are read.
    as_of
        UTC; later events in the tables are left out.
    file
        Gets the weights, its name with `.json` the card: among others `training_data_end`, `model` (for which vectors
        it is, see `identity.without_frame`), `examples`, `seed`, and `validation`: NDCG@10 of the held-out users with
        both windows, for the gate learned from the other moments, the fixed gate that was best there, and each window
        alone.

    Raises
    ------
    GateError
        If there are too few examples: the fixed gate serves then.
    """
    held = read_run(tables, vectors, as_of)
    parts: list[Examples] = []
    for moment in range(1, MOMENTS + 1):
        back = moment * horizon_days
        if back >= held.behaviour.age.max(initial=0):
            break
        items, texts = held.vectors_at(back)
        found = look_back(
            held.behaviour,
            back,
            horizon_days,
            held.spans,
            items,
            texts,
            repeats=held.repeats_allowed,
            users=USERS,
            competing=COMPETING,
            seed=seed,
        )
        found = usable(found)
        if len(found.user):
            parts.append(found)
    examples = [len(part.user) for part in parts]
    if sum(examples[1:]) < ENOUGH:
        raise GateError(
            f"{sum(examples[1:])} users had both windows and wanted something in the {MOMENTS} horizons before, "
            f"the newest left out: a gate needs {ENOUGH}; the setting fusion_gate serves until there are more"
        )
    validation = _judge(parts[0], parts[1:], seed)
    card = {
        "training_data_end": as_of.astimezone(UTC).isoformat(),
        "model": joined_id(held.model),
        "examples": examples,
        "horizon_days": horizon_days,
        "seed": seed,
        "validation": validation,
    }
    save_gate(file, train_network(parts, validation["fixed_gate"], seed), card)
    return card


def _judge(newest: Examples, others: Sequence[Examples], seed: int) -> dict[str, float]:
    fixed = best_fixed_gate(others)
    gates = train_network(others, fixed, seed).gates(newest.signals)
    ways: dict[str, NDArray[np.float64] | float] = {
        "learned": gates,
        "best_fixed": fixed,
        "long_only": 1.0,
        "short_only": 0.0,
    }
    scored = {name: float(newest.ndcg(newest.scores(gate)).mean()) for name, gate in ways.items()}
    return {"users": len(newest.user), "fixed_gate": fixed, **{name: round(value, 6) for name, value in scored.items()}}

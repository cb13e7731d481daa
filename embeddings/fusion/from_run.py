"""A gate trained on what a run holds: its behaviour tables, looked at as they were some weeks ago, and its vectors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.collaborative import RECIPE, learn_item_vectors, text_part
from embeddings.fusion.examples import Examples, look_back
from embeddings.fusion.learned import GateError, save_gate
from embeddings.fusion.past import Behaviour, Spans
from embeddings.fusion.training import SEED, best_fixed_gate, train_network, usable
from embeddings.vector_files import VectorFile

HORIZON_DAYS = 7.0
MOMENTS = 8
"""Horizons before `as_of` that examples come from; the newest with any is held out to judge, then trained on too."""
USERS, COMPETING = 1000, 1000
"""At most so many users of a moment, and items that compete for them."""
ENOUGH = 50
"""Examples, users with both windows and a wanted item, that training needs beside the held-out ones."""

Vectors = NDArray[np.float32]


class Held(NamedTuple):
    """What a run holds, as arrays; the rows of `behaviour` point into `items` and `texts`."""

    behaviour: Behaviour
    items: Vectors
    texts: Vectors
    spans: Spans
    repeats_allowed: bool
    model: str

    def vectors_at(self, back: float) -> tuple[Vectors, Vectors]:
        """Return item and text vectors as they were `back` days ago.

        Those joined with behaviour are learned anew from the events before: the run's own know what came after.
        """
        if not self.model.endswith(f"+{RECIPE.name}"):
            return self.items, self.texts
        known = self.behaviour.at((self.behaviour.age > back) & (self.behaviour.item >= 0))
        joined = learn_item_vectors(known.user, known.item, text_part(self.items))
        return joined.items, joined.carry(text_part(self.texts))


def train_gate(
    tables: Path, vectors: Path, as_of: datetime, file: Path, horizon_days: float = HORIZON_DAYS, seed: int = SEED
) -> dict[str, Any]:
    """Train a gate on the horizons before `as_of` and write it with its card; return the card.

    Windows and competing items are taken as they were at each moment; events older than the run's long window are not
    there, so the long window of an earlier moment is shorter by its distance from `as_of`.

    Parameters
    ----------
    tables
        Folder of the run's `long_window_behaviour`, `short_window_behaviour` and `run_settings`, Parquet.
    vectors
        Folder of its `item_vectors.parquet` and `event_vectors.parquet`.
    as_of
        UTC; later events in the tables are left out.
    file
        Gets the weights, its name with `.json` the card: among others `training_data_end`, `model`, `examples`, `seed`,
        and `validation`: NDCG@10 of the held-out users with both windows, for the gate learned from the other moments,
        the fixed gate that was best there, and each window alone.

    Raises
    ------
    GateError
        If there are too few examples: the fixed gate serves then.
    """
    started = time.perf_counter()
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
        "model": held.model,
        "examples": examples,
        "horizon_days": horizon_days,
        "seed": seed,
        "validation": validation,
        "seconds": round(time.perf_counter() - started, 3),
    }
    save_gate(file, train_network(parts, validation["fixed_gate"], seed), card)
    return card


def read_run(tables: Path, vectors: Path, as_of: datetime) -> Held:
    """Read the events of both windows and the vectors of a run."""
    items = VectorFile(vectors / "item_vectors.parquet", "item_id")
    texts = VectorFile(vectors / "event_vectors.parquet", "event_id")
    columns = ["user_id", "item_id", "event_id", "event_at", "weight"]
    names = ("long_window_behaviour", "short_window_behaviour")
    events = pa.concat_tables([pq.read_table(tables / f"{name}.parquet", columns=columns) for name in names])
    moment = pa.scalar(as_of.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
    events = events.filter(pc.less(events["event_at"].cast(pa.timestamp("us")), moment))
    # An order of their own: what is drawn and summed must not depend on that of the file.
    events = events.sort_by("event_id")
    at = events["event_at"].cast(pa.timestamp("us")).to_numpy()
    users = pc.unique(events["user_id"])
    users = users.take(pc.sort_indices(users))
    behaviour = Behaviour(
        pc.index_in(events["user_id"], value_set=users).to_numpy().astype(np.int32),
        items.places_of(events["item_id"]),
        texts.places_of(events["event_id"]),
        (np.datetime64(moment.as_py(), "us") - at) / np.timedelta64(1, "D"),
        events["weight"].cast(pa.float64()).to_numpy(),
    )
    own = pq.read_table(tables / "run_settings.parquet").to_pylist()[0]
    reach = ("long_window", "short_window", "long_half_life", "short_half_life")
    return Held(
        behaviour,
        _in_order(items),
        _in_order(texts),
        Spans(*(own[f"{name}_days"] for name in reach)),
        bool(own["repeats_allowed"]),
        items.model,
    )


def _in_order(file: VectorFile) -> Vectors:
    """Return the vectors in the order of ids."""
    return file.take(np.arange(len(file.ids)))[file.row_at]


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

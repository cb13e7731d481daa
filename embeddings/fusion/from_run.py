"""A gate trained on what a run holds: its behaviour tables, looked at as they were some weeks ago, and its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.collaborative import learn_item_vectors
from embeddings.fusion.examples import Examples, look_back
from embeddings.fusion.learned import GateError, save_gate
from embeddings.fusion.past import Behaviour, Spans
from embeddings.fusion.training import SEED, best_fixed_gate, train_network, usable
from embeddings.identity import joined_id
from embeddings.vector_files import EVENTS_FILE, ITEMS_FILE, VectorFile, text_file

HORIZON_DAYS = 7.0
MOMENTS = 8
"""Horizons before `as_of` that examples come from; the newest with any is held out to judge, then trained on too."""
USERS, COMPETING = 1000, 1000
"""At most so many users of a moment, and items that compete for them."""
ENOUGH = 50
"""Examples, users with both windows and a wanted item, that training needs beside the held-out ones."""

Vectors = NDArray[np.float32]


class Held(NamedTuple):
    """What a run holds, as arrays; the rows of `behaviour` point into `item_text` and `event_text`."""

    behaviour: Behaviour
    item_text: Vectors
    """Unit vectors of texts alone, zero rows for items without, `[items, d]`."""
    event_text: Vectors
    spans: Spans
    repeats_allowed: bool
    model: str
    """Id of the text model."""

    def vectors_at(self, back: float) -> tuple[Vectors, Vectors]:
        """Return item and text vectors as they were `back` days ago: joined with the behaviour before, learned anew."""
        known = self.behaviour.at((self.behaviour.age > back) & (self.behaviour.item >= 0))
        joined = learn_item_vectors(known.user, known.item, self.item_text)
        return joined.items, joined.space.carry(self.event_text)


def train_gate(
    tables: Path, vectors: Path, as_of: datetime, file: Path, horizon_days: float = HORIZON_DAYS, seed: int = SEED
) -> dict[str, Any]:
    """Train a gate for joined vectors on the horizons before `as_of` and write it with its card; return the card.

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


def read_run(tables: Path, vectors: Path, as_of: datetime) -> Held:
    """Read the events of a run, those without an item from its windows, and its vectors of text."""
    items = VectorFile(text_file(vectors, ITEMS_FILE), "item_id")
    texts = VectorFile(text_file(vectors, EVENTS_FILE), "event_id")
    moment = pa.scalar(as_of.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
    events = _read_events(tables)
    events = events.filter(pc.less(events["event_at"], moment))
    # An order of their own: what is drawn and summed must not depend on that of the file.
    events = events.sort_by("event_id")
    users = _sorted(pc.unique(events["user_id"]))
    ids = _sorted(pa.chunked_array([*items.ids.chunks, *events["item_id"].drop_null().chunks]).unique())
    behaviour = Behaviour(
        _places(events["user_id"], users),
        _places(events["item_id"], ids),
        texts.places_of(events["event_id"]),
        (np.datetime64(moment.as_py(), "us") - events["event_at"].to_numpy()) / np.timedelta64(1, "D"),
        events["weight"].to_numpy(),
    )
    item_text = np.zeros((len(ids), items.dimension), dtype=np.float32)
    item_text[_places(items.ids, ids)] = items.take(np.arange(len(items.ids)))
    own = pq.read_table(tables / "run_settings.parquet").to_pylist()[0]
    reach = ("long_window", "short_window", "long_half_life", "short_half_life")
    return Held(
        behaviour,
        item_text,
        texts.take(np.arange(len(texts.ids)))[texts.row_at],
        Spans(*(own[f"{name}_days"] for name in reach)),
        bool(own["repeats_allowed"]),
        items.model,
    )


def _read_events(tables: Path) -> pa.Table:
    columns = ["user_id", "item_id", "event_id", "event_at", "weight"]
    types = [pa.string(), pa.string(), pa.string(), pa.timestamp("us"), pa.float64()]
    parts = [pq.read_table(tables / "user_events.parquet", columns=columns)]
    for window in ("long_window", "short_window"):
        events = pq.read_table(tables / f"{window}_behaviour.parquet", columns=columns)
        parts.append(events.filter(pc.is_null(events["item_id"])))
    schema = pa.schema(list(zip(columns, types, strict=True)))
    return pa.concat_tables([part.cast(schema) for part in parts])


def _sorted(ids: pa.Array) -> pa.Array:
    return ids.take(pc.sort_indices(ids))


def _places(ids: pa.ChunkedArray, known: pa.Array) -> NDArray[np.int32]:
    """Return the place of each id in `known`, -1 for null."""
    places = pc.index_in(ids, value_set=known, skip_nulls=True)
    return np.asarray(pc.fill_null(places, -1), dtype=np.int32)


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

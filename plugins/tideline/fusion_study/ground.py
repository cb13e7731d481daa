"""The data of a home as arrays, and its cutoffs as days before the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.collaborative import learn_item_vectors
from embeddings.fusion.examples import Examples, look_back
from embeddings.fusion.past import Behaviour, Spans
from embeddings.settings import Settings
from embeddings.vector_files import ITEMS_FILE, text_file, to_matrix
from tideline.commands.run import take_in_everything
from tideline.evaluation.cutoffs import choose_cutoffs
from tideline.evaluation.events import known_events
from tideline.evaluation.publications import interests_at, run_folder

TRAINING_USERS, TRAINING_ITEMS = 300, 1000
DAY = np.timedelta64(1, "D")
Vectors = NDArray[np.float32]


@dataclass
class Ground:
    """Events as they were known at the end of the data, item texts as they were at the last cutoff."""

    behaviour: Behaviour
    text: Vectors
    """Unit vectors of the items' texts, zero rows without, `[items, d]`."""
    spans: Spans
    repeats_allowed: bool
    horizon: float
    cutoffs: tuple[datetime, ...]
    backs: tuple[float, ...]
    """The cutoffs as days before the end of the data."""
    _vectors: dict[tuple[str, float], Vectors] = field(default_factory=dict)
    _examples: dict[tuple[object, ...], Examples] = field(default_factory=dict)

    def vectors(self, kind: str, back: float) -> Vectors:
        """Return item vectors: of `text`, or `joined` with the behaviour before that moment."""
        if kind == "text":
            return self.text
        if (kind, back) not in self._vectors:
            known = self.behaviour.at(self.behaviour.age > back)
            self._vectors[kind, back] = learn_item_vectors(known.user, known.item, self.text).items
        return self._vectors[kind, back]

    def test(self, kind: str, back: float, spans: Spans, *, repeats: bool) -> Examples:
        """Return everybody who is to be foretold at a cutoff, all items competing."""
        return self._look(kind, back, spans, repeats, None, None)

    def earlier(self, kind: str, back: float, spans: Spans, *, repeats: bool, horizons: int) -> Iterator[Examples]:
        """Yield some users of the last horizons that end at or before a cutoff, some items competing."""
        for step in range(1, horizons + 1):
            before = back + step * self.horizon
            if before < self.behaviour.age.max():
                found = self._look(kind, before, spans, repeats, TRAINING_USERS, TRAINING_ITEMS)
                if len(found.user):
                    yield found

    def _look(
        self, kind: str, back: float, spans: Spans, repeats: bool, users: int | None, competing: int | None
    ) -> Examples:
        key = (kind, back, spans, repeats, users)
        if key not in self._examples:
            self._examples[key] = look_back(
                self.behaviour,
                back,
                self.horizon,
                spans,
                self.vectors(kind, back),
                np.zeros((0, 1), dtype=np.float32),
                repeats=repeats,
                users=users,
                competing=competing,
            )
        return self._examples[key]


def load_ground(settings: Settings, horizon: float) -> Ground:
    """Read the events of a home and embed the texts of its items, with a run up to the vectors at the last cutoff.

    Raises
    ------
    ValueError
        If no horizon of the data has users with history.
    """
    end = take_in_everything(settings)
    events = known_events(settings, end)
    plan = choose_cutoffs(events, end, horizon)
    folder = run_folder(interests_at(plan.cutoffs[-1], settings), settings)
    table = pq.read_table(text_file(folder / "vectors", ITEMS_FILE), columns=["item_id", "vector"])
    own = pq.read_table(folder / "tables" / "run_settings.parquet").to_pylist()[0]
    ids = pc.unique(pa.chunked_array([*table["item_id"].chunks, *events["item_id"].cast(pa.string()).chunks]))
    dimension = table.schema.field("vector").type.list_size
    text = np.zeros((len(ids), dimension), dtype=np.float32)
    text[: len(table)] = to_matrix(table["vector"], dimension)
    moment = np.datetime64(end.replace(tzinfo=None), "us")
    behaviour = Behaviour(
        _numbers(events["user_id"], pc.unique(events["user_id"])),
        _numbers(events["item_id"].cast(pa.string()), ids),
        np.full(len(events), -1, dtype=np.int32),
        (moment - events["event_at"].cast(pa.timestamp("us")).to_numpy()) / DAY,
        events["weight"].to_numpy().astype(np.float64),
    )
    windows = ("long_window_days", "short_window_days", "long_half_life_days", "short_half_life_days")
    backs = tuple(float((moment - np.datetime64(cutoff, "us")) / DAY) for cutoff in plan.cutoffs)
    spans = Spans(*(own[name] for name in windows))
    return Ground(behaviour, text, spans, bool(own["repeats_allowed"]), horizon, plan.cutoffs, backs)


def _numbers(column: pa.ChunkedArray, ids: pa.Array) -> NDArray[np.int32]:
    numbers: NDArray[np.int32] = pc.index_in(column, value_set=ids).to_numpy().astype(np.int32)
    return numbers

"""What a run holds, as arrays: events, texts of items and events, windows. What is trained reads this."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.collaborative import learn_item_vectors
from embeddings.fusion.past import Behaviour, Spans
from embeddings.vector_files import EVENTS_FILE, ITEMS_FILE, VectorFile, text_file

Vectors = NDArray[np.float32]


class Held(NamedTuple):
    """What a run holds, as arrays; the rows of `behaviour` point into `item_text` and `event_text`."""

    behaviour: Behaviour
    item_id: pa.Array
    """Ids of the items that have a text or an event, ascending."""
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
        ids,
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

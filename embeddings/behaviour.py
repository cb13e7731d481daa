"""A behaviour table read as the shares of its items and event texts in each user's window."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.lookahead import map_ahead
from embeddings.shares import Events, Shares, cut_users, join_shares, sum_shares
from embeddings.vector_files import VectorFile

EVENTS_A_PART = 1 << 20


class Window(NamedTuple):
    """The mean of a user's events is `items.times(item vectors) + texts.times(event vectors)`."""

    items: Shares
    texts: Shares
    events: int
    """Events of the window."""
    without_vector: int
    """Of these, those with no vector of an item and none of a text: they have no share."""


def read_window(file: Path, users: pa.Array, items: VectorFile, texts: VectorFile, threads: int) -> Window:
    """Read a behaviour table; `users` are the ids that number them.

    The order of the rows changes nothing; ordered by user and item, as the warehouse writes them, they need no sorting.
    Memory: 28 bytes for each event, and some 100 MB a thread.

    Raises
    ------
    ValueError
        If a weight is negative, null, not finite or too large to sum, or a user is not among `users`.
    """
    with pq.ParquetFile(file, read_dictionary=["user_id"]) as table:
        user = _read_users(table, users)
        if (user < 0).any():
            raise ValueError(f"{file.name} has a user that dim_users lacks: build both in one run")
        weight = _read_weights(table, file.name)
        item = _read_places(table, "item_id", items, threads)
        text = _read_places(table, "event_id", texts, threads)
    events = Events(user, item, text, weight)
    if (user[1:] < user[:-1]).any():
        events = events.at(np.argsort(user, kind="stable"))
    starts = np.searchsorted(events.user, np.arange(len(users) + 1))

    def sum_part(part: tuple[int, int]) -> tuple[Shares, Shares]:
        first, last = part
        own = events.at(slice(starts[first], starts[last]))
        return sum_shares(own._replace(user=own.user - first), last - first, items.row_at, texts.row_at)

    parts = list(map_ahead(sum_part, cut_users(starts, EVENTS_A_PART), threads))
    return Window(
        items=join_shares([of_items for of_items, _ in parts]),
        texts=join_shares([of_texts for _, of_texts in parts]),
        events=len(user),
        without_vector=int(((item < 0) & (text < 0)).sum()),
    )


def _read_users(table: pq.ParquetFile, users: pa.Array) -> NDArray[np.int32]:
    """Return the number of each row's user, -1 for a stranger: looked up once for each entry of a dictionary."""
    chunks = table.read(columns=["user_id"])["user_id"].chunks
    named = pa.chunked_array([chunk.dictionary for chunk in chunks], pa.string())
    number = pc.index_in(named, value_set=users).combine_chunks()
    ends = np.cumsum([len(chunk.dictionary) for chunk in chunks], dtype=np.int64).tolist()
    parts = [
        number[end - len(chunk.dictionary) : end].take(chunk.indices).fill_null(-1).to_numpy()
        for end, chunk in zip(ends, chunks, strict=True)
    ]
    return np.concatenate([np.empty(0, dtype=np.int32), *parts])


def _read_weights(table: pq.ParquetFile, name: str) -> NDArray[np.int64]:
    """Return the weights in billionths."""
    parts = [np.empty(0, dtype=np.int64)]
    try:
        for batch in table.iter_batches(EVENTS_A_PART, columns=["decay_weight"]):
            parts.append(_billionths(batch["decay_weight"]))
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{name} has a decay_weight that is negative, null or not finite: check the event weights"
        ) from error
    return np.concatenate(parts)


def _billionths(weights: pa.Array) -> NDArray[np.int64]:
    """Return weights as whole numbers; raise `ArrowInvalid` where one is no weight."""
    decimals = weights.cast(pa.decimal128(18, 9))
    # 18 digits fit the first 8 of the 16 bytes of a decimal.
    whole = np.frombuffer(decimals.buffers()[1], dtype="<i8", count=2 * (decimals.offset + len(decimals)))
    billionths = whole[2 * decimals.offset :: 2]
    if decimals.null_count or (billionths < 0).any():
        raise pa.ArrowInvalid("null or negative")
    return billionths


def _read_places(table: pq.ParquetFile, column: str, vectors: VectorFile, threads: int) -> NDArray[np.int32]:
    """Return the place of each row's vector in the order of ids, -1 without one."""
    rows = table.metadata.num_rows
    if not len(vectors.ids):
        return np.broadcast_to(np.int32(-1), rows)
    # Each look-up builds a hash table of the known ids: it should be asked for no fewer than these.
    size = max(EVENTS_A_PART, len(vectors.ids))
    batches = table.iter_batches(size, columns=[column], use_threads=False)
    places = map_ahead(lambda batch: vectors.places_of(batch[column]), batches, threads)
    return np.concatenate([np.empty(0, dtype=np.int32), *places])

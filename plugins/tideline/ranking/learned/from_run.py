"""A `Past` of what a run holds: its behaviour tables, its items and their vectors, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.vector_files import VectorFile
from tideline.ranking.learned.past import Past, make_past
from tideline.ranking.rules import read_categories

JUST_ARRIVED = 1e-3
"""Days that an item can be had which arrives at the instant, or of which only the catalogue knows."""


@dataclass(frozen=True)
class Loaded:
    """A past with the ids behind its numbers."""

    past: Past
    user_id: pa.Array
    """Ids of the users in scope, ascending: number u is the u-th."""
    item_id: pa.Array
    """Ids of the items, ascending."""
    available: NDArray[np.bool_]
    """`[items]` whether an item may be recommended at the instant: it is available and not blocked."""


def load_past(tables: Path, vectors: Path, as_of: datetime, item_tables: Path | None = None) -> Loaded:
    """Read a run's past.

    Parameters
    ----------
    tables
        Folder of `user_events`, `dim_users` and `dim_items`, Parquet.
    vectors
        Folder of `item_vectors.parquet`; without that file nothing is known of texts.
    as_of
        UTC; events at or after it are left out.
    item_tables
        Folder of the `dim_items` that number the items, an hour's base; None: `tables`. Events with others are left
        out.
    """
    user_id = read_users(tables)
    items = read_items(item_tables or tables)
    item_id = _ids(items["item_id"])
    events = pq.read_table(tables / "user_events.parquet", columns=["user_id", "item_id", "event_at", "weight"])
    user, item = numbers(events["user_id"], user_id), numbers(events["item_id"], item_id)
    age = days_before(as_of, events["event_at"])
    known = (user >= 0) & (item >= 0) & (age > 0)
    has_event = np.zeros(len(item_id), dtype=bool)
    has_event[item[known]] = True
    since = days_before(as_of, items["available_from"])
    past = make_past(
        user[known],
        item[known],
        age[known],
        events["weight"].cast(pa.float64()).to_numpy()[known],
        users=len(user_id),
        items=len(item_id),
        since=np.where((np.isnan(since) & ~has_event) | (since == 0), JUST_ARRIVED, since),
        categories=multi_hot(items["category"]),
        vectors=read_vectors(vectors / "item_vectors.parquet", item_id),
    )
    available = _may_be_shown(items)
    if item_tables:
        present = read_items(tables)
        row = numbers(pa.chunked_array([item_id]), _ids(present["item_id"]))
        now = _may_be_shown(present)
        available = np.where(row >= 0, now[row], False) if len(now) else np.zeros(len(item_id), dtype=bool)
    return Loaded(past, user_id, item_id, available)


def read_users(tables: Path) -> pa.Array:
    """Return the ids of a run's users, ascending."""
    return _ids(pq.read_table(tables / "dim_users.parquet", columns=["user_id"])["user_id"])


def read_items(tables: Path) -> pa.Table:
    """Return the run's items in the order of their ids."""
    columns = ["item_id", "category", "available_from", "is_available", "is_blocked"]
    items = pq.read_table(tables / "dim_items.parquet", columns=columns)
    return items.take(pc.sort_indices(items["item_id"])).combine_chunks()


def read_vectors(file: Path, item_id: pa.Array) -> NDArray[np.float32]:
    """Return the vectors of items, `[items, d]`, 0 where there is none; d is 0 without a file or a vector."""
    if not file.exists():
        return np.zeros((len(item_id), 0), dtype=np.float32)
    found = VectorFile(file, "item_id")
    if not len(found.ids):
        return np.zeros((len(item_id), 0), dtype=np.float32)
    row = found.rows_of(item_id)
    vectors = np.zeros((len(item_id), found.dimension), dtype=np.float32)
    place = np.flatnonzero(row >= 0)
    place = place[np.argsort(row[place], kind="stable")]
    vectors[place] = found.take(row[place])
    return vectors


def multi_hot(category: pa.ChunkedArray) -> Any:
    """Return `[items, c]` sparse: an item's categories, joined by `|` in the catalogue, in equal shares."""
    matrix = read_categories(category.to_pylist()).matrix
    count = np.diff(matrix.indptr)
    matrix.data = 1 / np.repeat(count, count)
    return matrix


def numbers(ids: pa.ChunkedArray, known: pa.Array) -> NDArray[np.int64]:
    """Return the place of each id in `known`, -1 for others."""
    places = pc.index_in(ids.cast(pa.string()), value_set=known)
    return np.asarray(pc.fill_null(places, -1), dtype=np.int64)


def days_before(as_of: datetime, moments: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the days from each moment (UTC) to `as_of`; NaN for null."""
    end = np.datetime64(as_of.astimezone(UTC).replace(tzinfo=None) if as_of.tzinfo else as_of, "us")
    days: NDArray[np.float64] = (end - moments.cast(pa.timestamp("us")).to_numpy()) / np.timedelta64(1, "D")
    return days


def _may_be_shown(items: pa.Table) -> NDArray[np.bool_]:
    available, blocked = (
        items[name].to_numpy(zero_copy_only=False).astype(bool) for name in ("is_available", "is_blocked")
    )
    may: NDArray[np.bool_] = available & ~blocked
    return may


def _ids(column: pa.ChunkedArray) -> pa.Array:
    ids = column.cast(pa.string()).combine_chunks()
    return ids.take(pc.sort_indices(ids))

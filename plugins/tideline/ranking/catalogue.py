"""The items of a run as arrays: availability, popularity, trend, vectors and the orders to fall back on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.ranking.plan import RankingError
from tideline.run import Run

if TYPE_CHECKING:
    from embeddings.retrieval.indexed import Index


@dataclass(frozen=True)
class Catalogue:
    """All items of the run, n of them, indexed in the order of their ids."""

    item_id: pa.Array
    """[n] ids, sorted by byte."""
    title: pa.Array
    """[n] titles; the id where an item has none."""
    available: NDArray[np.bool_]
    """[n] whether the item may be shown at `as_of`."""
    vectors: NDArray[np.float32]
    """[n, d] unit rows; zero where the item has no vector."""
    has_vector: NDArray[np.bool_]
    """[n]"""
    popularity: NDArray[np.float64]
    """[n] in [0, 1]: log(1 + users) over the largest such value."""
    trend: NDArray[np.float64]
    """[n] the same of the events in the trend's days."""
    popular_order: NDArray[np.int64]
    """All available items: by popularity rank, then those without events by id."""
    trend_order: NDArray[np.int64]
    """Available items with events in the trend's days, by trend rank."""
    index: Index | None = None
    """Of the rows of `vectors` that are `searchable`; None where exact search is sooner done."""

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.available)

    @property
    def searchable(self) -> NDArray[np.bool_]:
        """[n] whether the item may be found by its vector."""
        return self.has_vector & self.available


def load_catalogue(connection: duckdb.DuckDBPyConnection, run: Run) -> Catalogue:
    """Read items, popularity, trend and item vectors, and leave the temporary table `items` for later joins.

    `items` has `item` (the index), `item_id` and `has_vector`.
    """
    connection.execute(
        """
        create or replace temp table items as
        select
            row_number() over (order by i.item_id) - 1 as item,
            i.item_id,
            coalesce(nullif(i.title, ''), i.item_id) as title,
            coalesce(i.is_available, true) as available,
            coalesce(p.users, 0)::double as users,
            p.popularity_rank,
            coalesce(t.events_recent, 0)::double as events_recent,
            t.trend_rank,
            v.item_id is not null as has_vector
        from read_parquet($items) as i
        left join read_parquet($popularity) as p using (item_id)
        left join read_parquet($trend) as t using (item_id)
        left join (select item_id from read_parquet($vectors) where vector is not null) as v using (item_id)
        """,
        {
            "items": str(run.tables / "dim_items.parquet"),
            "popularity": str(run.tables / "item_popularity.parquet"),
            "trend": str(run.tables / "item_trend.parquet"),
            "vectors": str(run.vectors / "item_vectors.parquet"),
        },
    )
    table = connection.execute("select * from items order by item").to_arrow_table().combine_chunks()
    column = {
        name: table[name].to_numpy()
        for name in ("available", "users", "popularity_rank", "events_recent", "trend_rank", "has_vector")
    }
    vectors = connection.execute(
        "select v.vector from items as i left join read_parquet($1) as v using (item_id) order by i.item",
        [str(run.vectors / "item_vectors.parquet")],
    ).to_arrow_table()["vector"]
    dimension = next((len(vector) for vector in vectors if vector.is_valid), 0)
    available = column["available"].astype(bool)
    return Catalogue(
        item_id=table["item_id"].combine_chunks(),
        title=table["title"].combine_chunks(),
        available=available,
        vectors=to_matrix(vectors, dimension),
        has_vector=column["has_vector"].astype(bool),
        popularity=_scaled(column["users"]),
        trend=_scaled(column["events_recent"]),
        popular_order=_ordered(column["popularity_rank"], available, ranked_only=False),
        trend_order=_ordered(column["trend_rank"], available, ranked_only=True),
    )


def to_matrix(column: pa.ChunkedArray, dimension: int) -> NDArray[np.float32]:
    """Turn n nullable vectors into a matrix [n, dimension]; a null becomes a zero row.

    A catalogue without vectors has dimension 0: nothing can be compared with it, so the vectors are left out.
    """
    matrix = np.zeros((len(column), dimension), dtype=np.float32)
    present = np.flatnonzero(column.is_valid().to_numpy())
    if dimension and present.size:
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        if flat.size != present.size * dimension:
            raise RankingError(f"a vector has not the {dimension} dimensions of the item vectors: embed the run again")
        matrix[present] = flat.reshape(present.size, dimension)
    return matrix


def _scaled(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.log1p(np.maximum(counts, 0.0))
    top = values.max(initial=0.0)
    return values / top if top > 0 else values


def _ordered(ranks: NDArray, available: NDArray[np.bool_], *, ranked_only: bool) -> NDArray[np.int64]:
    ranks = ranks.astype(np.float64)  # a null rank becomes NaN, which sorts last
    order = np.lexsort((np.arange(ranks.size), ranks))
    wanted = available[order] & (~np.isnan(ranks[order]) if ranked_only else True)
    return order[wanted].astype(np.int64)

"""Nearest items: one door to whole rows (small jobs), a coarse product (large ones) and an index that was built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from embeddings.retrieval.whole_rows import search_rows

if TYPE_CHECKING:
    from embeddings.retrieval.indexed import Index

Precision = Literal["auto", "float32", "int8"]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows of the queries, ascending, and rows of the items."""

SMALL = 40_000_000_000
"""Multiplications, q * n * d, up to which whole rows are sorted: some 2 s, as the import of torch and a search take."""


def nearest_items(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    excluded: Pairs | None = None,
    precision: Precision = "auto",
    index: Index | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the `k` items of the highest cosine for each query.

    Exact, unless through an `index`, and deterministic: nearest first, and among items of equal cosine the lower index
    first, also at the edge. Small jobs sort whole rows of one float32 product. Large ones take a coarse product, in
    int8 where this machine multiplies it faster, and compute the cosines of whatever it may have misjudged in float32
    (see `coarse`), so the precision is a matter of speed. Memory beside the arguments: 512 MB of scores, and a copy of
    the items in int8.

    Parameters
    ----------
    queries
        Unit vectors, float32 `[q, d]`, finite.
    items
        Unit vectors, float32 `[n, d]`, finite.
    k
        Neighbours a query; if there are fewer items, all of them.
    allowed
        bool `[n]`: items that may be found at all. Default: every one.
    excluded
        Pairs (query, item) that may not be found, ascending by query.
    precision
        Of the coarse product: "float32", "int8", or "auto" for the fastest way, whole rows included.
    index
        Of `items[allowed]`, from `indexed.build_index`. Default: exact search.
    threads
        Of torch and of an index, where they are used. Default: as many as torch has.

    Returns
    -------
    indices : int64, `[q, min(k, n)]`, n counting allowed items
        -1 where a query has fewer items than that left.
    cosines : float32, of the same shape
        -inf at an index of -1.

    Raises
    ------
    ValueError
        If `k` is below 1, the dimensions differ, or a pair lies outside the arrays or out of order.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if queries.ndim != 2 or items.ndim != 2 or queries.shape[1] != items.shape[1]:
        raise ValueError(f"queries and items must be [q, d] and [n, d], got {queries.shape} and {items.shape}")
    pairs = _checked(excluded, len(queries), len(items))
    rows = None
    if allowed is not None and not allowed.all():
        rows = np.flatnonzero(allowed)
        items, pairs = items[rows], _among(rows, pairs, len(allowed))
    k = min(k, len(items))
    if k == 0 or len(queries) == 0:
        return np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k), dtype=np.float32)
    if index is None and precision == "auto" and queries.size * len(items) <= SMALL:
        indices, cosines = search_rows(queries, items, k, pairs)
    else:
        from embeddings.retrieval import coarse, rates

        with rates.threads_of_torch(threads) as used:
            if index is not None:
                from embeddings.retrieval import indexed

                indices, cosines = indexed.search(index.folder, queries, items, k, pairs, used)
            else:
                kind = rates.fastest_precision() if precision == "auto" else precision
                indices, cosines = coarse.search(queries, items, k, pairs, kind)
    if rows is not None:
        indices = np.where(indices < 0, -1, rows[indices])
    return indices, cosines


def _checked(excluded: Pairs | None, q: int, n: int) -> Pairs:
    if excluded is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    query, item = excluded
    inside = query.shape == item.shape and (
        query.size == 0 or (query[0] >= 0 and query[-1] < q and item.min() >= 0 and item.max() < n)
    )
    if not inside or (np.diff(query) < 0).any():
        raise ValueError(f"excluded must be rows of {q} queries, ascending, and rows of {n} items, one for each")
    return query, item


def _among(rows: NDArray[np.int64], pairs: Pairs, n: int) -> Pairs:
    """Renumber the items of pairs by their place in `rows`; those that are not there go."""
    place = np.full(n, -1, dtype=np.int64)
    place[rows] = np.arange(rows.size)
    item = place[pairs[1]]
    return pairs[0][item >= 0], item[item >= 0]

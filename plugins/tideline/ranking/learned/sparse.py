"""The best few of each row of a sparse matrix, and products of which only these are kept: a row never grows dense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.lookahead import map_ahead

Indices = NDArray[np.int64]
CELLS = 1 << 24
"""Cells of a large product that are computed together, were it dense: 64 MB."""
THREADS = 2


def row_of(matrix: Any) -> Indices:
    """Return the row of each stored value of a CSR matrix."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def narrowed(matrix: Any) -> Any:
    """Give a CSR matrix 32-bit indices, in place, and return it.

    A product of matrices of both kinds makes a wide copy of the narrow one, however few rows are asked for.
    """
    if matrix.nnz <= np.iinfo(np.int32).max and max(matrix.shape) <= np.iinfo(np.int32).max:
        matrix.indices = matrix.indices.astype(np.int32, copy=False)
        matrix.indptr = matrix.indptr.astype(np.int32, copy=False)
    return matrix


def among_best(row: Indices, score: NDArray[np.float32], rows: int, k: int | Indices) -> NDArray[np.bool_]:
    """Say of each score whether it is among the `k` highest of its row, or equal to the last of them.

    Parameters
    ----------
    row
        `[n]` ascending.
    k
        Of all rows, or `[rows]`.
    """
    count = np.bincount(row, minlength=rows)
    kept: NDArray[np.bool_] = score >= np.repeat(least_of_best(score, count, k), count)
    return kept


def least_of_best(score: NDArray[np.float32], count: Indices, k: int | Indices) -> NDArray[np.float32]:
    """Return the `k`-th highest score of each row, `-inf` for a row that has no more than `k`.

    Parameters
    ----------
    score
        Row by row.
    count
        `[rows]` how many scores each row has.
    """
    k = np.broadcast_to(k, count.size)
    least = np.full(count.size, -np.inf, dtype=np.float32)
    start = np.cumsum(count) - count
    # Rows of nearly one length are sorted side by side, which is vectorised: 4,000 scores take some 45 microseconds,
    # and half of it where the same place is asked for in all rows.
    size = np.where(count > k, np.ceil(np.log2(np.maximum(count, 1))).astype(np.int64), -1)
    for exponent in np.unique(size[size >= 0]).tolist():
        some = np.flatnonzero(size == exponent)
        width = int(count[some].max())
        padded = np.full((some.size, width), -np.inf, dtype=np.float32)
        for place, (first, length) in enumerate(zip(start[some].tolist(), count[some].tolist(), strict=True)):
            padded[place, :length] = score[first : first + length]
        if (k[some] == k[some[0]]).all():
            padded.partition(width - int(k[some[0]]), axis=1)
        else:
            padded.sort(axis=1)
        least[some] = padded[np.arange(some.size), width - k[some]]
    return least


def trimmed(matrix: Any, k: int | Indices, above: float = -np.inf) -> Any:
    """Return a CSR matrix with the `k` highest values of each row, and what equals the last of them.

    Parameters
    ----------
    k
        Of all rows, or `[rows]`.
    above
        Only values above it stay.
    """
    from scipy.sparse import csr_array

    count = np.diff(matrix.indptr)
    if above == -np.inf and (count <= k).all():
        return matrix
    least = np.repeat(least_of_best(matrix.data, count, k), count)
    kept = np.flatnonzero((matrix.data >= least) & (matrix.data > above))
    parts = (matrix.data[kept], matrix.indices[kept], np.searchsorted(kept, matrix.indptr))
    return csr_array(parts, shape=matrix.shape)


def keep_best(matrix: Any, k: int, by: Callable[[NDArray[np.float32]], NDArray[np.float32]] = np.asarray) -> Any:
    """Return a CSR matrix with the `k` highest values of each row, of equal ones the lower columns; columns ascend.

    Parameters
    ----------
    by
        What to compare values by, `np.abs` for instance.
    """
    from scipy.sparse import csr_array

    data = np.asarray(matrix.data, dtype=np.float32)
    row = row_of(matrix)
    kept = np.flatnonzero(among_best(row, by(data), matrix.shape[0], k) & (data != 0))
    row, column = row[kept], matrix.indices[kept]
    order = np.lexsort((column, -by(data[kept]), row))
    order = order[np.arange(order.size) - np.searchsorted(row, row) < k]
    order.sort()
    counts = np.bincount(row[order], minlength=matrix.shape[0])
    best = csr_array((data[kept[order]], column[order], np.concatenate([[0], np.cumsum(counts)])), shape=matrix.shape)
    best.sort_indices()
    return best


def stack_rows(work: Callable[[int, int], Any], rows: int, columns: int) -> Any:
    """Stack CSR matrices of ranges of rows, `work(first, last)`, computed side by side, as one CSR matrix."""
    from scipy.sparse import csr_array, vstack

    def ranges() -> Iterator[tuple[int, int]]:
        step = max(16, CELLS // max(columns, 1))
        for first in range(0, rows, step):
            yield first, min(first + step, rows)

    parts = list(map_ahead(lambda bounds: work(*bounds), ranges(), THREADS))
    if not parts:
        return csr_array((rows, columns), dtype=np.float32)
    return csr_array(vstack(parts, format="csr"), dtype=np.float32)

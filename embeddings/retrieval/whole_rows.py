"""Search by the float32 product of whole rows, in numpy: quick to start, and the reference of the faster ways."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCORES = 16_000_000
"""Cosines held at once: 64 MB of float32."""


def search_rows(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    k: int,
    excluded: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what `nearest_items` documents, for 1 <= k <= n; `excluded` ascends by query."""
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    block = max(1, SCORES // len(items))
    for start in range(0, len(queries), block):
        rows = slice(start, start + block)
        scores = queries[rows] @ items.T
        first, last = np.searchsorted(excluded[0], (start, start + block))
        scores[excluded[0][first:last] - start, excluded[1][first:last]] = -np.inf
        indices[rows], cosines[rows] = _top(scores, k)
    indices[np.isneginf(cosines)] = -1
    return indices, cosines


def _top(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    n = scores.shape[1]
    if k == n:
        chosen = np.broadcast_to(np.arange(n), scores.shape)
    else:
        chosen = np.argpartition(scores, n - k, axis=1)[:, n - k :]
        edge = np.take_along_axis(scores, chosen, axis=1).min(axis=1, initial=np.inf)
        # argpartition keeps any of the items that tie at the edge: choose again where there were too many.
        for row in np.flatnonzero((scores >= edge[:, None]).sum(axis=1) > k):
            reached = np.flatnonzero(scores[row] >= edge[row])
            chosen[row] = reached[np.argsort(-scores[row, reached], kind="stable")[:k]]
    chosen = np.sort(chosen, axis=1)
    cosines = np.take_along_axis(scores, chosen, axis=1)
    order = np.argsort(-cosines, axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1), np.take_along_axis(cosines, order, axis=1)

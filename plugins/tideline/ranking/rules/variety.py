"""Diversity: maximal marginal relevance (Carbonell and Goldstein 1998), by the package pyversity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

POOL = 5
"""Diversity chooses among the first POOL * k candidates of a user: those below are not worth a place for variety."""


def diversify(
    starts: Indices,
    item: Indices,
    score: NDArray[np.float64],
    vectors: NDArray[np.float32],
    k: int,
    wanted: int,
    diversity: float,
) -> Indices:
    """Reorder each user's candidates so that likeness to the rows above counts against the score.

    A row is chosen by (1 - diversity) * score - diversity * (greatest cosine with a row above, at least 0), the score
    scaled to 0..1 within the user's pool. An item without vector is like nothing.

    Parameters
    ----------
    starts
        [users + 1] where each user's rows begin.
    item, score
        [n] by user, then score descending.
    k
        Rows of a list.
    wanted
        Rows to choose for a user; what is not chosen follows in its old order.

    Returns
    -------
    int64 [n]
        Rows in their new order. The first row of a user stays first.
    """
    from pyversity import mmr

    order = np.arange(item.size)
    if not vectors.shape[1]:
        return order
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        last = min(last, first + POOL * k)
        if last - first < 2:
            continue
        pool = score[first:last]
        spread = pool[0] - pool[-1]
        relevance = (pool - pool[-1]) / spread if spread > 0 else np.ones(pool.size)
        chosen = mmr(vectors[item[first:last]], relevance, wanted, diversity, normalize=False).indices
        rest = np.delete(np.arange(pool.size), chosen)
        order[first:last] = first + np.concatenate([chosen, rest])
    return order

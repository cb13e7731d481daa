"""What comes next: items that others took soon after, or on the same day as, what the user took last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past

REACH = 12
"""Events after an item that count as its followers."""
LAST = 20
"""Events of the user that are continued; each counts less than the one after it."""
FADE = 0.9
DAYS = 60.0
"""Followers further away in time do not count."""
BASKETS_BEFORE = 90.0
"""Days of baskets that are read: what goes together changes."""
BASKET_HALF_LIFE = 14.0
PRIOR = 10.0
MOST_ITEMS = 200
"""Items of a basket that are paired; beyond it is a warehouse, not a basket."""


def learn(past: Past) -> dict[str, Any] | None:
    """Count followers, and items that share baskets."""
    if past.user.size == 0:
        return None
    order = np.lexsort((np.arange(past.user.size), past.user))
    follow = _followers(past.user[order], past.item[order], past.age[order], past.items)
    return {"follow": follow, "together": _together(past)}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[NDArray[np.float32]]]:
    """Score by the followers of the user's last 20 events, and by what shares baskets with his lately."""
    order = np.lexsort((np.arange(own.user.size), own.user))
    follow, together = lesson["follow"], lesson["together"]
    last = _last_events(own.user[order], own.item[order], own)
    recent = own.matrix(0.5 ** (own.age / BASKET_HALF_LIFE))

    def score(users: Indices) -> list[NDArray[np.float32]]:
        return [
            np.asarray((last[users] @ follow).todense(), dtype=np.float32),
            np.asarray((recent[users] @ together).todense(), dtype=np.float32),
        ]

    return score


def _followers(user: Indices, item: Indices, age: NDArray[np.float64], items: int) -> Any:
    """Return `[items, items]`: how often the column came within `REACH` events after the row, damped by popularity."""
    from scipy.sparse import coo_array, csr_array

    counts: Any = csr_array((items, items), dtype=np.float32)
    for step in range(1, REACH + 1):
        near = (user[step:] == user[:-step]) & (age[:-step] - age[step:] <= DAYS) & (item[step:] != item[:-step])
        values = np.full(int(near.sum()), FADE ** (step - 1), dtype=np.float32)
        counts = counts + coo_array((values, (item[:-step][near], item[step:][near])), shape=(items, items)).tocsr()
    return _damped(csr_array(counts))


def _together(past: Past) -> Any:
    """Return `[items, items]`: how often two items shared a basket of the last 90 days, damped by popularity."""
    from scipy.sparse import csr_array

    _, basket, item, age = past.basket
    size = np.bincount(basket, minlength=age.size)
    kept = (age[basket] <= BASKETS_BEFORE) & (size[basket] <= MOST_ITEMS)
    value = (1 / np.log2(1 + size[basket[kept]])).astype(np.float32)
    matrix = csr_array((value, (basket[kept], item[kept])), shape=(age.size, past.items))
    both = csr_array(matrix.T @ matrix)
    both.setdiag(0)
    both.eliminate_zeros()
    return _damped(both)


def _damped(counts: Any) -> Any:
    """Divide by the root of both items' sums, with a prior: rare pairs are not sure, popular items not telling."""
    rows, columns = (np.asarray(counts.sum(axis=axis)).ravel() for axis in (1, 0))
    coordinates = counts.tocoo()
    coordinates.data /= np.sqrt((rows[coordinates.row] + PRIOR) * (columns[coordinates.col] + PRIOR)).astype(np.float32)
    return coordinates.tocsr()


def _last_events(user: Indices, item: Indices, past: Past) -> Any:
    from scipy.sparse import csr_array

    back = np.searchsorted(user, user, side="right") - 1 - np.arange(user.size)
    kept = back < LAST
    matrix = csr_array(
        ((FADE ** back[kept]).astype(np.float32), (user[kept], item[kept])), shape=(past.rows, past.items)
    )
    matrix.sum_duplicates()
    return matrix

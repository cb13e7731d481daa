"""What comes next: items that others took soon after, or on the same day as, what the user took last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sparse import keep_best, narrowed, row_of, stack_rows

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
NEIGHBOURS = 200
"""Followers, and items of the same baskets, that are kept of each item."""
MOST_ITEMS = 200
"""Items of a basket that are paired; beyond it is a warehouse, not a basket."""


def learn(past: Past) -> dict[str, Any] | None:
    """Count followers, and items that share baskets."""
    if past.user.size == 0:
        return None
    order = np.lexsort((np.arange(past.user.size), past.user))
    follow = _followers(past.user[order], past.item[order], past.age[order], past.items)
    return {"follow": follow, "together": _together(past)}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[Said]]:
    """Score by the followers of the user's last 20 events, and by what shares baskets with his lately."""
    order = np.lexsort((np.arange(own.user.size), own.user))
    follow, together = lesson["follow"], lesson["together"]
    last = _last_events(own.user[order], own.item[order], own)
    recent = own.matrix(0.5 ** (own.age / BASKET_HALF_LIFE))

    return lambda users: [Said(last[users] @ follow), Said(recent[users] @ together)]


def _followers(user: Indices, item: Indices, age: NDArray[np.float64], items: int) -> Any:
    """Return `[items, items]`: how often the column came within `REACH` events after the row, damped by popularity.

    Parameters
    ----------
    user, item, age
        `[n]` events by user, then time.
    """
    from scipy.sparse import coo_array

    def pairs(place: Indices, step: int) -> tuple[Indices, Indices]:
        """Return those of the places that have a follower so many events later, and the places of these."""
        place = place[place < user.size - step]
        later = place + step
        near = (user[later] == user[place]) & (age[place] - age[later] <= DAYS) & (item[later] != item[place])
        return place[near], later[near]

    rows, columns = np.zeros(items), np.zeros(items)
    for step in range(1, REACH + 1):
        place, later = pairs(np.arange(user.size), step)
        rows += np.bincount(item[place], minlength=items) * FADE ** (step - 1)
        columns += np.bincount(item[later], minlength=items) * FADE ** (step - 1)
    by_item = np.argsort(item, kind="stable")
    starts = np.searchsorted(item[by_item], np.arange(items + 1))

    def followers(first: int, last: int) -> Any:
        of_rows = by_item[starts[first] : starts[last]]
        found = [pairs(of_rows, step) for step in range(1, REACH + 1)]
        values = [np.full(place.size, FADE**step, dtype=np.float32) for step, (place, _) in enumerate(found)]
        row, column = (np.concatenate([item[side] for side in sides]) for sides in zip(*found, strict=True))
        shape = (last - first, items)
        counts = coo_array((np.concatenate(values), (row - first, column)), shape=shape).tocsr()
        return keep_best(_damped(counts, rows[first:last], columns), NEIGHBOURS)

    return stack_rows(followers, items, items)


def _together(past: Past) -> Any:
    """Return `[items, items]`: how often two items shared a basket of the last 90 days, damped by popularity."""
    from scipy.sparse import csr_array

    _, basket, item, age = past.basket
    size = np.bincount(basket, minlength=age.size)
    kept = (age[basket] <= BASKETS_BEFORE) & (size[basket] <= MOST_ITEMS)
    value = (1 / np.log2(1 + size[basket[kept]])).astype(np.float32)
    matrix = csr_array((value, (basket[kept], item[kept])), shape=(age.size, past.items))
    transposed = csr_array(matrix.T)
    # All that an item shares baskets with, itself left out.
    sums = transposed @ np.asarray(matrix.sum(axis=1)).ravel() - transposed.power(2).sum(axis=1)

    def together(first: int, last: int) -> Any:
        both = csr_array(transposed[first:last] @ matrix)
        both.setdiag(0, k=first)
        return keep_best(_damped(both, sums[first:last], sums), NEIGHBOURS)

    return stack_rows(together, past.items, past.items)


def _damped(counts: Any, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Any:
    """Divide by the root of both items' sums, with a prior: rare pairs are not sure, popular items not telling."""
    row = row_of(counts)
    counts.data = (counts.data / np.sqrt((rows[row] + PRIOR) * (columns[counts.indices] + PRIOR))).astype(np.float32)
    return counts


def _last_events(user: Indices, item: Indices, past: Past) -> Any:
    from scipy.sparse import csr_array

    back = np.searchsorted(user, user, side="right") - 1 - np.arange(user.size)
    kept = back < LAST
    matrix = csr_array(
        ((FADE ** back[kept]).astype(np.float32), (user[kept], item[kept])), shape=(past.rows, past.items)
    )
    matrix.sum_duplicates()
    return narrowed(matrix)

"""Arithmetic on (user, item) pairs as 64-bit keys: the set work of the hot path, without a loop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def pair_keys(user: Indices, item: Indices, items: int) -> Indices:
    """Return one integer a pair, ordered as (user, item); `items` is the size of the catalogue."""
    return user * np.int64(items) + item


def contains(sorted_keys: Indices, keys: Indices) -> NDArray[np.bool_]:
    """Say for each key whether it is among `sorted_keys` (sorted, unique)."""
    if sorted_keys.size == 0:
        return np.zeros(keys.size, dtype=bool)
    place = np.minimum(np.searchsorted(sorted_keys, keys), sorted_keys.size - 1)
    found: NDArray[np.bool_] = sorted_keys[place] == keys
    return found


def first_of_each(user: Indices, item: Indices, excluded: Indices, limit: int, items: int) -> tuple[Indices, Indices]:
    """Drop excluded pairs, then keep the first `limit` of each user.

    Parameters
    ----------
    user, item
        [n] pairs, grouped by ascending user and, within a user, best first.
    excluded
        Sorted keys of pairs that are dropped.
    """
    free = ~contains(excluded, pair_keys(user, item, items))
    user, item = user[free], item[free]
    position = np.arange(user.size) - np.searchsorted(user, user)
    kept = position < limit
    return user[kept], item[kept]


def walk_order(order: Indices, depth: Indices) -> tuple[Indices, Indices]:
    """Pair each user with the first `depth[user]` items of one common order, best first."""
    depth = np.minimum(depth, order.size)
    user = np.repeat(np.arange(depth.size, dtype=np.int64), depth)
    position = np.arange(user.size) - np.repeat(np.cumsum(depth) - depth, depth)
    return user, order[position]

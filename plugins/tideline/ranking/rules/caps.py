"""Caps: at most so many items of one category in a list."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.rules.facts import ItemFacts

Indices = NDArray[np.int64]


def keep_under_cap(
    user: Indices,
    item: Indices,
    room: Indices,
    items: ItemFacts,
    cap: int,
    reserved_user: Indices,
    reserved_item: Indices,
) -> tuple[NDArray[np.bool_], Indices]:
    """Walk each user's rows from the top, and keep a row while none of its categories is full.

    Parameters
    ----------
    user, item
        [n] grouped by ascending user, best first.
    room
        [users] rows that a user still needs.
    reserved_user, reserved_item
        [m] pairs that have their place in the list already, and count.

    Returns
    -------
    kept : bool [n]
    full : int64 [n]
        The category that was full, of a row that was passed over for it; else -1.
    """
    row, category = items.stretch(item)
    reserved_row, reserved_category = items.stretch(reserved_item)
    width = max(len(items.categories.names), 1)
    keys = np.concatenate([user[row] * width + category, reserved_user[reserved_row] * width + reserved_category])
    _, slot = np.unique(keys, return_inverse=True)
    count = np.bincount(slot[row.size :], minlength=slot.max(initial=-1) + 1)
    slot = slot[: row.size]
    begins = np.searchsorted(row, np.arange(item.size + 1))
    place = np.arange(user.size) - np.searchsorted(user, user)
    by_place = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[by_place], np.arange(place.max(initial=-1) + 2))
    room = room.copy()
    kept, full = np.zeros(user.size, dtype=bool), np.full(user.size, -1)
    # All users' first rows, then all second rows, and so on: a user has at most one row in each round.
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        asked = by_place[first:last]
        asked = asked[room[user[asked]] > 0]
        if not asked.size:
            break
        sizes = begins[asked + 1] - begins[asked]
        owner = np.repeat(np.arange(asked.size), sizes)
        entry = np.arange(owner.size) + np.repeat(begins[asked] - (np.cumsum(sizes) - sizes), sizes)
        stopped = count[slot[entry]] >= cap
        full[asked[owner[stopped]]] = category[entry[stopped]]
        good = full[asked] < 0
        kept[asked[good]] = True
        room[user[asked[good]]] -= 1
        count[slot[entry[good[owner]]]] += 1
    return kept, full

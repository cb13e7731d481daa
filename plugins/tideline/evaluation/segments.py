"""Kinds of users and items that figures are told apart by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.split import Indices, Mode, Split

RECENT_DAYS = 28.0
"""A user or item is new if its first event lies no longer before the cutoff."""
NEW_ITEMS = "new_items"


def user_segments(split: Split, users: Indices, short_window_days: float) -> dict[str, NDArray[np.bool_]]:
    """Say which of the test users belong to which segment, `[users]` each.

    `new`: first event in the last 28 days. The others are `light` or `heavy`: with at most, or more than, their median
    number of events. `active` and `quiet`: with and without an event in the short window.
    """
    history = split.history
    oldest = _greatest(history.user, history.age, history.users)[users]
    youngest = -_greatest(history.user, -history.age, history.users)[users]
    events = np.bincount(history.user, minlength=history.users)[users]
    new = oldest <= RECENT_DAYS
    middle = float(np.median(events[~new])) if (~new).any() else 0.0
    active = youngest <= short_window_days
    return {
        "all": np.ones(users.size, dtype=bool),
        "new": new,
        "light": ~new & (events <= middle),
        "heavy": ~new & (events > middle),
        "active": active,
        "quiet": ~active,
    }


def wanted_new_items(split: Split, mode: Mode) -> tuple[Indices, Indices]:
    """Return the wanted pairs whose item had its first event in the last 28 days before the cutoff, or none before it."""
    history = split.history
    user, item = split.wanted(mode)
    is_new = _greatest(history.item, history.age, history.items) <= RECENT_DAYS
    return user[is_new[item]], item[is_new[item]]


def _greatest(index: Indices, value: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    found = np.full(size, -np.inf)
    np.maximum.at(found, index, value)
    return found

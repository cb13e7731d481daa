"""What most people have had: ever, lately, and more than before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said

HALF_LIFE = 14.0
LEAST = 1e-6
"""Popularity of an item that nobody has had."""
PRIOR = 5.0
"""Users that a trend must outweigh: a rise from one to three says little."""


def learn(past: Past) -> dict[str, Any]:
    """Count users of each item: ever, in 7 and 28 days, decayed by 14 days; and the rise of 7 days over 28."""
    ever, week, month = (users_within(past, days) for days in (np.inf, 7.0, 28.0))
    decayed = np.bincount(past.item, 0.5 ** (past.age / HALF_LIFE), minlength=past.items)
    # Ties of the short spans go to what more people have had ever.
    tie = 1e-3 * ever / max(ever.max(initial=0.0), 1.0)
    trend = np.where(week > 0, (week + PRIOR) / (month / 4 + PRIOR) * np.log1p(week), 0.0)
    scores = [np.where(base > 0, base + tie, 0.0) for base in (ever, week, month, decayed, trend)]
    # The order of all time holds every item, so that everybody can be given a full list.
    scores[0] = np.maximum(scores[0], LEAST)
    return {"scores": np.stack(scores).astype(np.float32)}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[Said]]:
    """Say the same to everybody."""
    said = [Said(row) for row in lesson["scores"]]
    return lambda users: said


def users_within(past: Past, days: float) -> NDArray[np.float64]:
    """Return `[items]` how many users had an item in the last `days`."""
    part = past.age <= days
    item = np.unique(past.user[part] * past.items + past.item[part]) % past.items
    return np.bincount(item, minlength=past.items).astype(np.float64)

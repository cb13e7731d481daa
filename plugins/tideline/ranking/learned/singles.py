"""Which source alone ranks best: what a trained ranking must beat, and what it is mixed with."""

from __future__ import annotations

import numpy as np

from tideline.ranking.learned.lists import Lists, join
from tideline.ranking.learned.model import single
from tideline.ranking.learned.shift import Shift


def best_single(parts: list[Lists], names: tuple[str, ...], shift: Shift) -> str:
    """Return which source alone ranks all lists best: all, as nothing is learned, so that luck counts little."""
    if not parts:
        return ""
    weights = np.split(shift.weigh(_users(parts)), np.cumsum([part.size for part in parts])[:-1])
    total: dict[str, float] = {}
    for part, weight in zip(parts, weights, strict=True):
        for name in names:
            # A source that is silent for most users would win by the ties that popularity breaks for it.
            if name in part.names and _speaks(part, name):
                reached = part.ndcg(single(name).score(part.features, part.names))
                total[name] = total.get(name, 0.0) + float(weight @ reached)
    return max(total, key=lambda name: total[name]) if total else ""


def _speaks(lists: Lists, name: str) -> bool:
    heard = np.bincount(lists.list, lists.column(f"{name}.share") > 0, minlength=lists.size) > 0
    return bool(heard.mean() > 0.5)


def _users(parts: list[Lists]) -> Lists:
    """Join one row of each list: enough to know its user."""
    return join([part.rows(np.diff(part.list, prepend=-1) > 0, np.ones(part.size, dtype=bool)) for part in parts])

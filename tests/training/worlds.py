"""Made-up pasts: users of two tastes who come back to some items."""

from __future__ import annotations

import numpy as np

from tideline.ranking.learned import Past, make_past

ITEMS, DAYS = 40, 70.0


def events(seed: int = 3, users: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, item and days before the instant of forty events a user."""
    random = np.random.default_rng(seed)
    taste = random.integers(0, 2, users)
    size = users * 40
    user = random.integers(0, users, size)
    liked = (random.pareto(1.0, size) * 3).astype(int) % (ITEMS // 2) * 2 + taste[user]
    item = np.where(random.random(size) < 0.8, liked, random.integers(0, ITEMS, size))
    return user, item, random.random(size) * DAYS + 0.001


def world(seed: int = 3, users: int = 120) -> Past:
    """The same as a past."""
    return make_past(*events(seed, users), users=users, items=ITEMS)

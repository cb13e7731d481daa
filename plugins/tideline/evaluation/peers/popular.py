"""What most people have had, ever or lately."""

from __future__ import annotations

import numpy as np

from tideline.evaluation.peers.peer import NOTHING, Peer, Scorer
from tideline.evaluation.split import History


def fit_popular(history: History, *, days: float | None, count: str) -> Scorer:
    """Score items by their `users` or `events` (`count`) of the last `days` before the cutoff (None: ever)."""
    recent = np.ones(history.age.size, dtype=bool) if days is None else history.age <= days
    user, item = history.user[recent], history.item[recent]
    if count == "users":
        item = np.unique(user * history.items + item) % history.items
    counts = np.bincount(item, minlength=history.items).astype(np.float32)
    counts[counts == 0] = NOTHING
    return lambda users: np.broadcast_to(counts, (users.size, counts.size))


PEERS = tuple(
    Peer(name, fit_popular, {"days": (days,), "count": ("users", "events")})
    for name, days in (("popular", None), ("popular_7d", 7.0), ("popular_28d", 28.0))
)

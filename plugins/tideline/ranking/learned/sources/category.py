"""What is popular now in the categories that the user chooses from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.sources.popularity import users_within

HALF_LIFE = 60.0
DAYS = 28.0


def learn(past: Past) -> dict[str, Any] | None:
    """Count each item's users of 28 days."""
    if past.categories.shape[1] < 2:
        return None
    return {"popularity": np.sqrt(users_within(past, DAYS) + 0.01).astype(np.float32)}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[NDArray[np.float32]]]:
    """Score by the share of an item's categories in what the user had, times the item's users."""
    taste, popularity = affinity(own), lesson["popularity"][None, :]
    items = own.categories.T.tocsr().astype(np.float32)
    return lambda users: [np.asarray((taste[users] @ items).todense(), dtype=np.float32) * popularity]


def affinity(past: Past) -> Any:
    """Return `[rows, c]` sparse: the share of each category in what a user had, later events more."""
    from scipy.sparse import csr_array, diags_array

    sums = csr_array(past.decayed(HALF_LIFE) @ past.categories)
    total = np.asarray(sums.sum(axis=1)).ravel()
    return csr_array(diags_array(np.divide(1, total, out=np.zeros_like(total), where=total > 0)) @ sums)

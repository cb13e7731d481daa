"""What is popular now in the categories that the user chooses from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sources.popularity import users_within
from tideline.ranking.learned.sparse import keep_best, narrowed, row_of

HALF_LIFE = 60.0
DAYS = 28.0
HEAD = 100
"""Items of a category: whoever has had them all has others to be shown."""


def learn(past: Past) -> dict[str, Any] | None:
    """Find the items of each category that most users had in 28 days, and weigh all categories of these by them."""
    from scipy.sparse import csr_array

    if past.categories.shape[1] < 2:
        return None
    popularity = np.sqrt(users_within(past, DAYS) + 0.01).astype(np.float32)
    items = csr_array(past.categories.T, dtype=np.float32)
    items.data *= popularity[items.indices]
    heads = np.unique(keep_best(items, HEAD).indices)
    kept = np.isin(items.indices, heads)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row_of(items)[kept], minlength=items.shape[0]))])
    return {"heads": csr_array((items.data[kept], items.indices[kept], indptr), shape=items.shape)}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[Said]]:
    """Score by the share of an item's categories in what the user had, times the root of the item's users."""
    taste, heads = narrowed(affinity(own).astype(np.float32)), lesson["heads"]
    return lambda users: [Said(taste[users] @ heads)]


def affinity(past: Past) -> Any:
    """Return `[rows, c]` sparse: the share of each category in what a user had, later events more."""
    from scipy.sparse import csr_array, diags_array

    sums = csr_array(past.decayed(HALF_LIFE) @ past.categories)
    total = np.asarray(sums.sum(axis=1)).ravel()
    return csr_array(diags_array(np.divide(1, total, out=np.zeros_like(total), where=total > 0)) @ sums)

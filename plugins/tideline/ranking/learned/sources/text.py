"""Likeness of texts: cosine with the user's long, short and fused vector, and of what has newly arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.retrieval import nearest_items
from tideline.ranking.learned.past import Indices, Past, Vectors

NEW_DAYS = 28.0
NEAREST = 30
"""Items that are near to an item of the user's; searching them is exact, and for 100,000 items takes minutes."""
MOST_ITEMS = 100_000
"""Beyond, the nearest are sought among so many items that have been had by most people."""
SHARPNESS = 4.0
HALF_LIFE = 30.0


def learn(past: Past) -> dict[str, Any] | None:
    """Find the texts near to each other, and what has newly arrived."""
    items = past.interests.items
    if not items.any():
        return None
    with np.errstate(invalid="ignore"):
        return {"near": _near(past, items), "new": past.item_age <= NEW_DAYS}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[NDArray[np.float32]]]:
    """Score by the cosine of item vectors with the three vectors of the user; the last again for new items only;
    and by the texts nearest to single items that he has had (a mean over many interests is near to none of them).

    One product gives the candidates and the features, so no search by itself is needed. Cosines are moved by 1 (0 to
    2), so that 0 says that there is none.
    """
    interests, near, new = own.interests, lesson["near"], lesson["new"]
    items = interests.items
    absent = ~items.any(axis=1)
    recent = own.matrix(0.5 ** (own.age / HALF_LIFE))

    def score(users: Indices) -> list[NDArray[np.float32]]:
        blocks = []
        for vectors in (interests.long, interests.short, interests.fused):
            # A product with a single row is summed otherwise: nobody's cosines may depend on who stands beside him.
            several = users if users.size > 1 else np.repeat(users, 2)
            cosines = 1 + (vectors[several] @ items.T)[: users.size]
            cosines[:, absent] = 0
            cosines[~vectors[users].any(axis=1)] = 0
            blocks.append(np.asarray(cosines, dtype=np.float32))
        return [*blocks, blocks[-1] * new[None, :], (recent[users] @ near).toarray()]

    return score


def _near(past: Past, items: Vectors) -> Any:
    """Return `[items, items]` sparse: the cosine with the 30 nearest others to the power of 4, 0 elsewhere."""
    from scipy.sparse import csr_array

    known = np.flatnonzero(items.any(axis=1))
    if known.size > MOST_ITEMS:
        known = np.sort(known[np.argsort(-past.owners[known], kind="stable")[:MOST_ITEMS]])
    vectors = items[known]
    index, cosines = nearest_items(vectors, vectors, min(NEAREST + 1, known.size))
    row = np.repeat(np.arange(known.size), index.shape[1])
    others = index.ravel() != row
    values = np.maximum(cosines.ravel()[others], 0) ** SHARPNESS
    shape = (past.items, past.items)
    return csr_array((values, (known[row[others]], known[index.ravel()[others]])), shape=shape)

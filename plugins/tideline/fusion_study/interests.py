"""More than one interest a user: the long window in clusters, an item scored by the nearest of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.examples import Examples
from embeddings.fusion.past import Behaviour, Spans

INTERESTS = 3
ROUNDS = 8


def with_several_interests(
    examples: Examples, behaviour: Behaviour, back: float, spans: Spans, items: NDArray[np.float32]
) -> Examples:
    """Replace the scores of the long vector by the greatest cosine with one of the user's `INTERESTS` cluster centres.

    PinnerSage (Pal et al., KDD 2020) and MIND (Li et al., CIKM 2019) keep several vectors a user for the same reason.
    """
    age = behaviour.age - back
    long = behaviour.at((age > spans.short_days) & (age <= spans.long_days) & (behaviour.item >= 0))
    order = np.argsort(long.user, kind="stable")
    owner, own = long.user[order], long.item[order]
    matrix = items[examples.item]
    scores = examples.long_scores.copy()
    starts, ends = np.searchsorted(owner, examples.user), np.searchsorted(owner, examples.user, side="right")
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        rows, weight = np.unique(own[start:end], return_counts=True)
        if len(rows) > INTERESTS:
            scores[place] = (matrix @ cluster(items[rows], weight.astype(np.float32)).T).max(axis=1)
    return examples._replace(long_scores=scores)


def cluster(vectors: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit cluster centres, `[INTERESTS, d]`: spherical k-means begun at items far from each other."""
    centres = [vectors[weight.argmax()]]
    for _ in range(INTERESTS - 1):
        centres.append(vectors[(vectors @ np.stack(centres).T).max(axis=1).argmin()])
    found = np.stack(centres)
    for _ in range(ROUNDS):
        nearest = (vectors @ found.T).argmax(axis=1)
        for number in range(INTERESTS):
            mean = weight[nearest == number] @ vectors[nearest == number]
            norm = np.linalg.norm(mean)
            if norm > 0:
                found[number] = mean / norm
    return found

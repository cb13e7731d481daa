"""Item-kNN: likeness of items by their users, after BM25."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said

NEIGHBOURS = 200
THREADS = 2


def learn(past: Past) -> dict[str, Any] | None:
    """Find the 200 neighbours of each item (`implicit`)."""
    if past.user.size == 0:
        return None
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_array, csr_matrix

    model = CosineRecommender(K=NEIGHBOURS, num_threads=THREADS)
    pairs = csr_matrix(past.pairs, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what it does to its own matrices
        model.fit(pairs, show_progress=False)
    return {"likeness": csr_array(model.similarity, dtype=np.float32)}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[Said]]:
    """Score items by their likeness to what the user has had, summed over it."""
    queries, likeness = own.pairs, lesson["likeness"]
    return lambda users: [Said(queries[users] @ likeness)]

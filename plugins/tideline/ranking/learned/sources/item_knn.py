"""Item-kNN: likeness of items by their users, after BM25."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past

NEIGHBOURS = 200
THREADS = 2


def fit_item_knn(past: Past) -> Callable[[Indices], list[NDArray[np.float32]]] | None:
    """Score items by their likeness to what the user has had, each item having 200 neighbours (`implicit`)."""
    if past.user.size == 0:
        return None
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    model = CosineRecommender(K=NEIGHBOURS, num_threads=THREADS)
    pairs = csr_matrix(past.pairs, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what it does to its own matrices
        model.fit(pairs, show_progress=False)
    likeness = csr_matrix(model.similarity, dtype=np.float32)
    queries = past.pairs
    return lambda users: [np.asarray((csr_matrix(queries[users]) @ likeness).todense(), dtype=np.float32)]

"""Peers that learn which items go together: item-kNN and EASE."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.peers.peer import NOTHING, Peer, Scorer
from tideline.evaluation.split import History, Indices

EASE_ITEMS = 8_000
"""EASE inverts a matrix of items times items: beyond the most popular 8,000 it would take minutes and gigabytes."""
USERS_A_BLOCK = 4096
THREADS = 2


def fit_item_knn(history: History, *, neighbours: int, weighting: str) -> Scorer:
    """Score items by their likeness to what the user has had, each item having so many `neighbours`.

    The likeness is the cosine of the items' users, plain (`cosine`), or after TF-IDF or BM25 (as `implicit` has them).
    """
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
    from scipy.sparse import csr_matrix

    kinds = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
    model = kinds[weighting](K=neighbours, num_threads=THREADS)
    pairs = csr_matrix(history.pairs, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what it does to its own matrices
        model.fit(pairs, show_progress=False)
    likeness = csr_matrix(model.similarity)

    def score(users: Indices) -> np.ndarray:
        scores = np.asarray((pairs[users] @ likeness).todense(), dtype=np.float32)
        scores[scores <= 0] = NOTHING
        return scores

    return score


def fit_ease(history: History, *, penalty: float) -> Scorer:
    """Score items by EASE (Steck, WWW 2019): the linear map of items to items, zero diagonal, in closed form."""
    owners = np.bincount(history.pairs.indices, minlength=history.items)
    chosen = np.sort(np.argsort(-owners, kind="stable")[: min(EASE_ITEMS, int((owners > 0).sum()))])
    pairs = history.pairs[:, chosen]
    gram = _gram(pairs)
    gram[np.diag_indices_from(gram)] += penalty
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    weights = weights.astype(np.float32)

    def score(users: Indices) -> np.ndarray:
        scores = np.full((users.size, history.items), NOTHING, dtype=np.float32)
        scores[:, chosen] = pairs[users] @ weights
        return scores

    return score


def _gram(pairs: Any) -> NDArray[np.float64]:
    """Return how many users each two items share, `[items, items]`. Dense blocks of users beat a sparse product here."""
    gram = np.zeros((pairs.shape[1],) * 2)
    for first in range(0, pairs.shape[0], USERS_A_BLOCK):
        block = pairs[first : first + USERS_A_BLOCK].toarray()
        gram += block.T @ block  # whole numbers: exact in float32 within a block
    return gram


PEERS = (
    Peer("item_knn", fit_item_knn, {"neighbours": (20, 50, 200), "weighting": ("cosine", "tfidf", "bm25")}),
    Peer("ease", fit_ease, {"penalty": (100.0, 300.0, 1000.0, 3000.0)}),
)

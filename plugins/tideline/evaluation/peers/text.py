"""Cosine of mean text vectors: the textbook formula, and the same with a decay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.peers.peer import NOTHING, Peer, Scorer
from tideline.evaluation.split import History, Indices


def fit_text(history: History, vectors: NDArray[np.float32], *, half_life: float | None) -> Scorer:
    """Score items by the cosine of their vector with the mean of those of the user's events.

    Parameters
    ----------
    vectors
        `[items, d]` rows of length 1 or, for items without a vector, 0.
    half_life
        Days after which an event counts half (None: all alike).
    """
    value = np.ones(history.age.size) if half_life is None else 0.5 ** (history.age / half_life)
    means = (history.matrix(value) @ vectors).astype(np.float32)
    return cosine_scorer(means, vectors)


def cosine_scorer(queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> Scorer:
    """Score items by the cosine of `queries[user]` (any length; 0: nothing is recommended) with their vector."""
    absent = ~vectors.any(axis=1)

    def score(users: Indices) -> NDArray[np.float32]:
        part = queries[users]
        norm = np.linalg.norm(part, axis=1, keepdims=True)
        scores = np.divide(part, norm, out=np.zeros_like(part), where=norm > 0) @ vectors.T
        scores[:, absent] = NOTHING
        scores[norm[:, 0] == 0] = NOTHING
        return np.asarray(scores, dtype=np.float32)

    return score


PEERS = (
    Peer("text_mean", fit_text, {"half_life": (None,)}, needs_vectors=True),
    Peer("text_decayed", fit_text, {"half_life": (3.0, 7.0, 30.0, 90.0, 365.0)}, needs_vectors=True),
)

"""Cosine of text vectors: with the mean of the user's events, plain and decayed, and with a run's window vectors."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.fixed import fuse
from tideline.evaluation.peers.peer import NOTHING, Peer, Scorer
from tideline.evaluation.split import History, Indices
from tideline.evaluation.vectors import RunVectors


def fit_text(history: History, vectors: RunVectors, *, half_life: float | None) -> Scorer:
    """Score items by the cosine of their text's vector with the mean of those of the user's events.

    `half_life` is the days after which an event counts half (None: all alike).
    """
    value = np.ones(history.age.size) if half_life is None else 0.5 ** (history.age / half_life)
    return cosine_scorer((history.matrix(value) @ vectors.text).astype(np.float32), vectors.text)


def fit_window(history: History, vectors: RunVectors, *, window: str) -> Scorer:
    """Score items by the cosine with the vector of the `long` or the `short` window, or with the run's `fused` one."""
    return cosine_scorer(getattr(vectors, window), vectors.items)


def fit_gate(history: History, vectors: RunVectors, *, gate: float) -> Scorer:
    """Score items by the cosine with `gate` of the long and the rest of the short vector, the same for everybody."""
    has_long, has_short = (np.square(part).sum(axis=1) > 0 for part in (vectors.long, vectors.short))
    fused, _, _ = fuse(vectors.long, vectors.short, has_long, has_short, gate)
    return cosine_scorer(fused, vectors.items)


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


LEARNED_GATE = "learned_gate"

PEERS = (
    Peer("text_mean", partial(fit_text, half_life=None), {}, needs_vectors=True),
    Peer("text_decayed", fit_text, {"half_life": (3.0, 7.0, 30.0, 90.0, 365.0)}, needs_vectors=True),
    Peer("long_only", partial(fit_window, window="long"), {}, needs_vectors=True),
    Peer("short_only", partial(fit_window, window="short"), {}, needs_vectors=True),
    Peer("fixed_gate", fit_gate, {"gate": (0.1, 0.3, 0.5, 0.7, 0.9)}, needs_vectors=True),
    Peer(LEARNED_GATE, partial(fit_window, window="fused"), {}, needs_vectors=True),
)

"""EASE: the linear map of items to items with zero diagonal, in closed form (Steck, WWW 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past

MOST = 8_000
"""A system of so many equations is solved at most (512 MB, half a minute): beyond, the most popular items only."""
PENALTY = 300.0
DECAY = 60.0
"""Half-life in days of the events that the second map is learned from: what goes together changes."""
USERS_A_BLOCK = 4096
MAPS = ("ever", "decayed")


def learn(past: Past) -> dict[str, Any] | None:
    """Learn the map from what users have had, and from the same with a half-life of 60 days.

    With fewer users than items the same map comes from a system of users instead of items (Woodbury), so that many
    items cost little where there are few users.
    """
    active = np.flatnonzero(~np.isnan(past.last_age))
    if active.size < 2:
        return None
    chosen = np.flatnonzero(past.owners > 0)
    if min(chosen.size, active.size) > MOST:
        chosen = np.sort(np.argsort(-past.owners, kind="stable")[:MOST])
    learn_map = _by_users if active.size < chosen.size else _by_items
    lesson: dict[str, Any] = {"chosen": chosen}
    for name, matrix in zip(MAPS, _queries(past, chosen), strict=True):
        lesson |= {f"{name}_{part}": value for part, value in learn_map(matrix[active]).items()}
    return lesson


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[NDArray[np.float32]]]:
    """Score by both maps."""
    chosen = lesson["chosen"]
    queries = _queries(own, chosen)

    def score(users: Indices) -> list[NDArray[np.float32]]:
        return [
            _spread(_apply(lesson, name, query[users]), chosen, own.items)
            for name, query in zip(MAPS, queries, strict=True)
        ]

    return score


def _queries(past: Past, chosen: Indices) -> list[Any]:
    decayed = past.matrix(0.5 ** (past.age / DECAY))
    decayed.data = np.minimum(decayed.data, 1)
    return [matrix[:, chosen] for matrix in (past.pairs, decayed)]


def _apply(lesson: dict[str, Any], name: str, query: Any) -> NDArray[np.float32]:
    if f"{name}_weights" in lesson:
        return np.asarray(query @ lesson[f"{name}_weights"], dtype=np.float32)
    # P = (X'X + p)^-1 = (1 - X'(XX' + p)^-1 X) / p, and a query q scores q - q P / diag P.
    dense = query.toarray()
    overlap = (query @ lesson[f"{name}_pairs"].T) @ lesson[f"{name}_solved"]
    return np.asarray(dense - (dense - overlap) * lesson[f"{name}_scale"][None, :], dtype=np.float32)


def _by_items(pairs: Any) -> dict[str, Any]:
    from scipy.linalg import lapack

    # Float32 does: the penalty keeps the condition number in the thousands. Cholesky takes half of a general inverse.
    gram = gram_of(pairs).astype(np.float32)
    gram[np.diag_indices_from(gram)] += PENALTY
    factor, failed = lapack.spotrf(gram, lower=True, overwrite_a=True)
    inverse, failed_too = lapack.spotri(factor, lower=True, overwrite_c=True)
    if failed or failed_too:
        raise np.linalg.LinAlgError(f"EASE's matrix of {len(gram)} items cannot be inverted: raise its penalty")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return {"weights": weights}


def _by_users(pairs: Any) -> dict[str, Any]:
    kernel = np.asarray((pairs @ pairs.T).todense(), dtype=np.float64)
    kernel[np.diag_indices_from(kernel)] += PENALTY
    solved = np.linalg.solve(kernel, pairs.toarray().astype(np.float64)).astype(np.float32)
    overlap = np.asarray(pairs.multiply(solved).sum(axis=0)).ravel()
    scale = (1 / np.maximum(1 - overlap, 1e-6)).astype(np.float32)
    return {"pairs": pairs, "solved": solved, "scale": scale}


def gram_of(pairs: Any) -> NDArray[np.float64]:
    """Return how many users each two items share, `[items, items]`. Dense blocks beat a sparse product here."""
    gram = np.zeros((pairs.shape[1],) * 2)
    for first in range(0, pairs.shape[0], USERS_A_BLOCK):
        block = pairs[first : first + USERS_A_BLOCK].toarray()
        gram += block.T @ block
    return gram


def _spread(scores: NDArray[np.float32], chosen: Indices, items: int) -> NDArray[np.float32]:
    if chosen.size == items:
        return scores
    spread = np.zeros((len(scores), items), dtype=np.float32)
    spread[:, chosen] = scores
    return spread

"""EASE: the linear map of items to items with zero diagonal, in closed form (Steck, WWW 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sparse import stack_rows

MOST = 8_000
"""A system of so many equations is solved at most (256 MB, half a minute): beyond, the most popular items only."""
PENALTY = 300.0
DECAY = 60.0
"""Half-life in days of the events that the second map is learned from: what goes together changes."""
STRONGEST = 200
"""Weights of an item that are kept, the largest of either sign."""
USERS_A_BLOCK = 4096
DENSE_GAIN = 50
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
    maps = (learn_map(matrix[active]) for matrix in _queries(past, chosen))
    return {name: _spread(found, chosen, past.items) for name, found in zip(MAPS, maps, strict=True)}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[Said]]:
    """Score by both maps."""
    queries = _queries(own)
    return lambda users: [Said(query[users] @ lesson[name]) for name, query in zip(MAPS, queries, strict=True)]


def _queries(past: Past, chosen: Indices | None = None) -> list[Any]:
    decayed = past.matrix(0.5 ** (past.age / DECAY))
    decayed.data = np.minimum(decayed.data, 1)
    return [matrix if chosen is None else matrix[:, chosen] for matrix in (past.pairs, decayed)]


def _by_items(pairs: Any) -> Any:
    from scipy.linalg import lapack

    # Float32 does: the penalty keeps the condition number in the thousands. Cholesky takes half of a general inverse.
    gram = gram_of(pairs)
    gram[np.diag_indices_from(gram)] += PENALTY
    factor, failed = lapack.spotrf(gram, lower=True, overwrite_a=True)
    inverse, failed_too = lapack.spotri(factor, lower=True, overwrite_c=True)
    if failed or failed_too:
        raise np.linalg.LinAlgError(f"EASE's matrix of {len(gram)} items cannot be inverted: raise its penalty")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    diagonal = np.diag(inverse).copy()
    return stack_rows(
        lambda first, last: _strongest(-inverse[first:last] / diagonal, first), len(inverse), len(inverse)
    )


def _by_users(pairs: Any) -> Any:
    """Return the same map by way of a system of users: P = (1 - X'(XX' + p)^-1 X) / p."""
    from scipy.sparse import csr_array

    kernel = np.asarray((pairs @ pairs.T).todense(), dtype=np.float64)
    kernel[np.diag_indices_from(kernel)] += PENALTY
    solved = np.linalg.solve(kernel, pairs.toarray().astype(np.float64)).astype(np.float32)
    overlap = np.asarray(pairs.multiply(solved).sum(axis=0)).ravel()
    scale = (1 / np.maximum(1 - overlap, 1e-6)).astype(np.float32)
    transposed = csr_array(pairs.T)
    items = pairs.shape[1]
    return stack_rows(lambda first, last: _strongest((transposed[first:last] @ solved) * scale, first), items, items)


def _strongest(weights: NDArray[np.float32], first: int) -> Any:
    """Return the strongest weights of rows from `first` on, of either sign, as CSR; none of an item for itself."""
    from scipy.sparse import csr_array

    rows, columns = weights.shape
    weights[np.arange(rows), first + np.arange(rows)] = 0
    if columns > STRONGEST:
        size = np.abs(weights)
        least = np.sort(size, axis=1)[:, columns - STRONGEST, None]
        weights[size < least] = 0
    return csr_array(weights)


def gram_of(pairs: Any) -> NDArray[np.float32]:
    """Return how much any two items share, summed over users, `[items, items]`.

    A sparse product costs what the users have had in pairs, dense blocks of users the square of the items for each of
    them, but some fifty times less a multiplication.
    """
    from scipy.sparse import csr_array

    items = pairs.shape[1]
    sizes = np.diff(pairs.indptr).astype(np.float64)
    if DENSE_GAIN * (sizes @ sizes) < pairs.shape[0] * float(items) ** 2:
        return np.asarray((csr_array(pairs.T) @ pairs).todense(), dtype=np.float32)
    gram = np.zeros((items, items), dtype=np.float32)
    for first in range(0, pairs.shape[0], USERS_A_BLOCK):
        block = pairs[first : first + USERS_A_BLOCK].toarray()
        gram += block.T @ block
    return gram


def _spread(weights: Any, chosen: Indices, items: int) -> Any:
    """Return a map of chosen items as one of all."""
    from scipy.sparse import csr_array

    sizes = np.zeros(items, dtype=np.int64)
    sizes[chosen] = np.diff(weights.indptr)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    return csr_array((weights.data, chosen[weights.indices], indptr), shape=(items, items))

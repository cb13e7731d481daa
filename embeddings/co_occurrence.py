"""Who had what as a matrix, its singular vectors, and new events brought into the frame of earlier singular vectors."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

USERS_A_BLOCK = 1 << 15
"""Users multiplied at a time: what lies between both products is this many rows, not one for each user."""
_OVERSAMPLES, _PASSES, _SEED = 16, 4, 5
_LEAST_SQUARE = 1e-6
"""Squared singular values below this are rounding: their directions say nothing."""

Floats = NDArray[np.float64]


class Had(NamedTuple):
    """Who had what, each pair once."""

    matrix: Any
    """Sparse `[users, items]` (scipy CSR): 1 over the roots of the user's items and the item's users."""
    users_of: NDArray[np.int64]
    """Users of each item, `[items]`."""


def who_had_what(user: NDArray[np.integer], item: NDArray[np.integer], items: int) -> Had:
    """Return the matrix of events: `item` are numbers below `items`, `user` any numbers. A pair counts once."""
    from scipy.sparse import csr_array

    pairs = np.unique(np.asarray(user, dtype=np.int64) * max(items, 1) + item)
    rows, columns = np.divmod(pairs, max(items, 1))
    rows = np.unique(rows, return_inverse=True)[1]
    users_of = np.bincount(columns, minlength=items)
    items_of = np.bincount(rows)
    scaled = 1 / np.sqrt(items_of[rows] * users_of[columns])
    return Had(csr_array((scaled, (rows, columns)), shape=(len(items_of), items)), users_of)


def singular_vectors(had: Had, dimension: int) -> Floats:
    """Return the right singular vectors of the largest singular values as columns, `[items, dimension]`.

    Randomised subspace iteration (Halko, Martinsson and Tropp, SIAM Review 2011) with a fixed seed. Zero rows for items
    without users, zero columns where the matrix has fewer directions. Memory: `items * dimension * 8` bytes a few
    times, and a block of users.
    """
    items = len(had.users_of)
    size = min(dimension + _OVERSAMPLES, *had.matrix.shape)
    vectors = np.zeros((items, dimension))
    if not size:
        return vectors
    with one_thread():
        found = np.random.default_rng(_SEED).standard_normal((items, size))
        for _ in range(_PASSES):
            found = np.linalg.qr(_co_occurrence_times(had.matrix, found))[0]
        squares, turn = np.linalg.eigh(_symmetric(found.T @ _co_occurrence_times(had.matrix, found)))
    kept = min(dimension, int((squares > _LEAST_SQUARE).sum()))
    right = found @ turn[:, ::-1][:, :kept]
    right[had.users_of == 0] = 0
    vectors[:, :kept] = right * np.sign(right[np.abs(right).argmax(axis=0), np.arange(kept)])
    return vectors


def fold_in(had: Had, vectors: Floats | NDArray[np.float32]) -> Floats:
    """Return where the items stand in the frame of earlier singular vectors, `[items, dimension]`.

    `vectors` are the earlier ones, `V`, zero rows for items that are new. Users stand at `U = M V`; the items are then
    put where `U` explains the matrix best: least squares, `M'U (U'U)^-1`, the half step of alternating least squares.
    With the events that `V` is of this is `V` again, and always `V'` times the result is 1: what is new moves items
    within the frame, it never turns the frame itself. Memory as for `singular_vectors`.
    """
    frame = np.asarray(vectors, dtype=np.float64)
    with one_thread():
        product = _co_occurrence_times(had.matrix, frame)
        inverse = np.linalg.pinv(_symmetric(frame.T @ product), rcond=_LEAST_SQUARE, hermitian=True)
        return np.asarray(product @ inverse)


def one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra to one thread: the same bits on any number of cores.

    Decompositions of such tall matrices wait for every thread at every few columns: on two cores with other work, two
    threads took seven times as long as one.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


def _co_occurrence_times(matrix: Any, vectors: Floats) -> Floats:
    """Return `M' (M vectors)`, some users at a time."""
    summed = np.zeros(vectors.shape)
    for first in range(0, matrix.shape[0], USERS_A_BLOCK):
        part = matrix[first : first + USERS_A_BLOCK]
        summed += part.T @ (part @ vectors)
    return summed


def _symmetric(gram: Floats) -> Floats:
    return np.asarray((gram + gram.T) / 2)

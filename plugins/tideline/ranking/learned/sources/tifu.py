"""TIFU-kNN and what the nearest users have had lately (Hu, He, Gao and Zhang, SIGIR 2020, arXiv 2006.00556)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sparse import keep_best, narrowed

GROUPS, WITHIN, ACROSS = 7, 0.9, 0.7
NEIGHBOURS = 300
NEAR = 100
"""The nearest of them, whose vectors stand for themselves beside the mix."""
VOTES = 50
"""Items of a neighbour that count, those of his that weigh most: who has had thousands says little by each."""
ALPHA = 0.3
RECENT_HALF_LIFE = 10.0
POOL = 20_000
"""Neighbours are sought among so many users at most, those active last: a block of 256 users then takes 20 MB."""


def learn(past: Past) -> dict[str, Any]:
    """Keep the vectors of the users active last, and what they had lately: the pool of neighbours."""
    active = np.flatnonzero(~np.isnan(past.last_age))
    pool = np.sort(active[np.argsort(past.last_age[active], kind="stable")[:POOL]])
    some = past.only(pool)
    vectors, recent = user_vectors(some)[pool], some.decayed(RECENT_HALF_LIFE)[pool]
    return {
        "pool": pool,
        "vectors": vectors,
        "voted": keep_best(vectors, VOTES),
        "recent": keep_best(recent, VOTES),
    }


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[Said]]:
    """Score by the user's vector mixed with his neighbours', by the neighbours' alone, and by what they had lately.

    A user's vector weighs his baskets (days) in groups, later ones more; neighbours are the nearest by Euclidean
    distance, himself left out.
    """
    from scipy.sparse import vstack

    vectors = user_vectors(own)
    pool, pooled, voted, recent = lesson["pool"], lesson["vectors"], lesson["voted"], lesson["recent"]
    known_as = own.known_as
    squares = np.asarray(pooled.multiply(pooled).sum(axis=1)).ravel()
    transposed = pooled.T.tocsr()
    # Who asks stands behind the pool as one more neighbour of his own: adding sparse sums costs what a product costs.
    voters = narrowed(vstack([voted, vectors], format="csr"))
    k = min(NEIGHBOURS, max(pool.size - 1, 0))
    near = min(NEAR, k)

    def score(users: Indices) -> list[Said]:
        held = vectors[users]
        if k == 0:
            return [Said(held), *(Said(held * 0) for _ in range(2))]
        distance = squares[None, :] - 2 * (held @ transposed).toarray()
        number = users if known_as is None else known_as[users]
        place = np.minimum(np.searchsorted(pool, number), pool.size - 1)
        himself = pool[place] == number
        distance[np.flatnonzero(himself), place[himself]] = np.inf
        nearest = np.argpartition(distance, sorted({near - 1, k - 1}), axis=1)
        some = ((k, (1 - ALPHA) / k), (near, 1 / near))
        many, few = (np.full((users.size, count), value, dtype=np.float32) for count, value in some)
        nobody = np.diff(held.indptr) == 0  # who has had nothing has no neighbours
        many[nobody], few[nobody] = 0, 0
        mixed = _selection(
            np.column_stack([nearest[:, :k], pool.size + users]),
            np.column_stack([many, np.full(users.size, ALPHA, dtype=np.float32)]),
            voters.shape[0],
        )
        nearer = _selection(nearest[:, :near], few, pool.size)
        return [Said(mixed @ voters), Said(nearer @ voted), Said(nearer @ recent)]

    return score


def user_vectors(past: Past) -> Any:
    """Return the personal vectors of TIFU-kNN, `[rows, items]` sparse float32."""
    from scipy.sparse import csr_array

    user, basket, item, _ = past.basket
    owner = np.empty(int(basket.max(initial=-1)) + 1, dtype=np.int64)
    owner[basket] = user
    number = np.arange(owner.size) - np.searchsorted(owner, owner)
    total = np.bincount(owner, minlength=past.rows)[owner]
    in_groups = np.minimum(total, GROUPS)
    group = number * in_groups // np.maximum(total, 1)
    # Baskets of group g are those from ceil(g * total / groups) on.
    end = -(-(group + 1) * total // in_groups)
    size = end - -(-group * total // in_groups)
    weight = WITHIN ** (end - 1 - number) / size * ACROSS ** (in_groups - 1 - group) / in_groups
    matrix = csr_array((weight[basket].astype(np.float32), (user, item)), shape=(past.rows, past.items))
    matrix.sum_duplicates()
    return narrowed(matrix)


def _selection(chosen: Indices, weight: NDArray[np.float32], columns: int) -> Any:
    """Return `[rows, columns]` sparse: the weights `[rows, n]` at the chosen columns of each row."""
    from scipy.sparse import csr_array

    rows, n = chosen.shape
    return narrowed(csr_array((weight.ravel(), chosen.ravel(), np.arange(rows + 1) * n), shape=(rows, columns)))

"""Peers that know that people come back to what they have had: own history with decay, and TIFU-kNN."""

from __future__ import annotations

from typing import Any

import numpy as np

from tideline.evaluation.peers.peer import NOTHING, Peer, Scorer
from tideline.evaluation.split import History, Indices
TIE = 1e-4
"""What being had by everybody adds to a pair's value."""


def fit_own_history(history: History, *, half_life: float | None) -> Scorer:
    """Score what the user has had by its events, each counting half after every `half_life` days (None: all alike).

    Everything of one purchase is equal then: ties go to what more users have had.
    """
    value = np.ones(history.age.size) if half_life is None else 0.5 ** (history.age / half_life)
    own = history.matrix(value)
    owners = np.bincount(history.pairs.indices, minlength=history.items)
    # Less than the least difference that counts, more than nothing.
    own.data += TIE * owners[own.indices] / history.users

    def score(users: Indices) -> np.ndarray:
        return _dense(own[users], history.items)

    return score


def fit_tifu_knn(
    history: History, *, groups: int, within: float, across: float, neighbours: int, alpha: float
) -> Scorer:
    """Score items by TIFU-kNN (Hu, He, Gao and Zhang, SIGIR 2020, https://arxiv.org/abs/2006.00556).

    A user's baskets are what he had at one day. They are cut into `groups` of equal size, oldest first; a basket counts `within` to the power
    of its distance from the end of its group, a group `across` to the power of its distance from the last; both are means. The
    user's vector is mixed with the mean of his nearest `neighbours` (Euclidean): `alpha` of his own, the rest of theirs.
    """
    vectors = user_vectors(history, groups, within, across)
    return mixed_with_neighbours(vectors, history.items, neighbours, alpha)


def user_vectors(history: History, groups: int, within: float, across: float) -> Any:
    """Return the personal vectors of TIFU-kNN, `[users, items]` sparse."""
    from scipy.sparse import csr_array

    day = np.floor(history.age).astype(np.int64)
    # Each item once a basket; baskets of a user numbered from the oldest.
    entries = np.unique(np.stack([history.user, -day, history.item]), axis=1)
    user, basket_day, item = entries
    starts = np.ones(user.size, dtype=bool)
    starts[1:] = (user[1:] != user[:-1]) | (basket_day[1:] != basket_day[:-1])
    basket = np.cumsum(starts) - 1
    owner = user[starts]
    first = np.searchsorted(owner, owner)
    number = np.arange(owner.size) - first
    total = np.bincount(owner, minlength=history.users)[owner]
    in_groups = np.minimum(total, groups)
    group = number * in_groups // total
    # Baskets of group g are those from ceil(g * total / groups) on.
    group_end = -(-(group + 1) * total // in_groups)
    group_size = group_end - -(-group * total // in_groups)
    weight = within ** (group_end - 1 - number) / group_size * across ** (in_groups - 1 - group) / in_groups
    matrix = csr_array((weight[basket], (user, item)), shape=(history.users, history.items))
    matrix.sum_duplicates()
    return matrix


def mixed_with_neighbours(vectors: Any, items: int, neighbours: int, alpha: float) -> Scorer:
    """Score by `alpha` of the user's vector and the rest of the mean of his nearest others."""
    squares = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    transposed = vectors.T.tocsr()
    k = min(neighbours, vectors.shape[0] - 1)

    def score(users: Indices) -> np.ndarray:
        own = vectors[users]
        mixed = own * alpha
        if k > 0:
            distance = squares[None, :] - 2 * (own @ transposed).toarray()
            distance[np.arange(users.size), users] = np.inf
            nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
            mean = _selection(nearest, vectors.shape[0]) @ vectors
            mixed = mixed + mean * ((1 - alpha) / k)
        return _dense(mixed, items)

    return score


def _selection(rows: Indices, columns: int) -> Any:
    from scipy.sparse import csr_array

    count, k = rows.shape
    return csr_array((np.ones(rows.size), rows.ravel(), np.arange(count + 1) * k), shape=(count, columns))


def _dense(scores: Any, items: int) -> np.ndarray:
    dense: np.ndarray = scores.toarray().astype(np.float32)
    dense[dense <= 0] = NOTHING
    return dense


PEERS = (
    Peer("own_history", fit_own_history, {"half_life": (7.0, 15.0, 30.0, 60.0, 120.0, None)}, repeats_only=True),
    Peer(
        "tifu_knn",
        fit_tifu_knn,
        {
            "groups": (3, 7),
            "within": (0.9,),
            "across": (0.7,),
            "neighbours": (100, 300),
            "alpha": (0.1, 0.3, 0.7),
        },
    ),
)

"""Metrics of ranked lists, per user: how well they foretell (relevance is yes or no), how far from obvious they are.

Lists are arrays `[users, depth]` of item numbers, best first, -1 for no item.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.split import History, Indices

K = 10
Scores = dict[str, NDArray[np.float64]]


def score_lists(
    lists: Indices, users: Indices, wanted_user: Indices, wanted_item: Indices, items: int, k: int = K
) -> Scores:
    """Score the list of each user by its first k places.

    With n wanted items of a user and the ranks r of those in his first k:

    - `ndcg`: the sum of 1 / log2(r + 1), over the same sum for ranks 1 to min(k, n);
    - `recall`: the number of such ranks, over n (not over min(k, n));
    - `hit_rate`: 1 if there is any, else 0.

    Parameters
    ----------
    lists
        `[u, at least 1]`.
    users
        `[u]` users of the lists, ascending; each must want something.
    wanted_user, wanted_item
        Wanted pairs, each once.
    items
        How many items there are.

    Returns
    -------
    dict
        `ndcg`, `recall`, `hit_rate`, `[u]` each, in the order of `users`.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    shown = lists[:, :k]
    relevant = np.bincount(np.searchsorted(users, wanted_user), minlength=users.size)
    keys = users[:, None] * items + shown
    hits = (shown >= 0) & np.isin(keys, wanted_user * items + wanted_item)
    gains = 1 / np.log2(np.arange(1, k + 1) + 1)
    ideal = np.cumsum(gains)[np.minimum(relevant, k) - 1]
    return {
        "ndcg": hits @ gains[: shown.shape[1]] / ideal,
        "recall": hits.sum(axis=1) / relevant,
        "hit_rate": hits.any(axis=1).astype(np.float64),
    }


def describe_lists(lists: Indices, history: History, vectors: NDArray[np.float32] | None, k: int = K) -> Scores:
    """Measure how far from the obvious each list is; NaN for a list without items.

    - `novelty`: the mean of -log2((1 + n) / (1 + users)) over the list, n being the users who have had the item;
    - `diversity`: 1 minus the mean cosine of two items of the list (Ziegler et al., WWW 2005), NaN with fewer than two.

    Parameters
    ----------
    vectors
        `[items, d]` rows of length 1 or, for items without a vector, 0. None: no diversity.
    """
    shown = lists[:, :k]
    there = shown >= 0
    count = there.sum(axis=1)
    owners = np.bincount(history.pairs.indices, minlength=history.items)
    surprise = -np.log2((1 + owners) / (1 + history.users))
    with np.errstate(invalid="ignore", divide="ignore"):
        described = {"novelty": np.where(there, surprise[shown], 0).sum(axis=1) / count}
        if vectors is not None:
            told = there & (np.square(vectors).sum(axis=1) > 0)[shown]
            summed = np.zeros((shown.shape[0], vectors.shape[1]))
            for place in range(shown.shape[1]):
                summed += vectors[shown[:, place]] * told[:, place, None]
            n = told.sum(axis=1)
            mean = (np.square(summed).sum(axis=1) - n) / (n * (n - 1))
            described["diversity"] = np.where(n > 1, 1 - mean, np.nan)
    described["novelty"] = np.where(count > 0, described["novelty"], np.nan)
    return described


def coverage(lists: Indices, items: int, k: int = K) -> float:
    """Return how many of the items with history (the first `items` numbers) are in any list, as a share."""
    shown = np.unique(lists[:, :k])
    return float(((shown >= 0) & (shown < items)).sum() / items) if items else float("nan")

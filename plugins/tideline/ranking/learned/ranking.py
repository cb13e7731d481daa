"""Rank: the k best items of every user, with what their scores are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.features import Prepared, assemble, describe, prepare
from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.training import Trained


@dataclass(frozen=True)
class Ranked:
    """Recommended pairs of some users, `[n]` each, by user in the order asked for and rank."""

    row: Indices
    """Place of the user in `users`."""
    item: Indices
    rank: Indices
    """1-based."""
    score: NDArray[np.float64]
    parts: dict[str, NDArray[np.float64]]
    """By group of features, `base` among them; added in this order they are `score`."""
    sources: Indices
    """Bit i is set where `sources.NAMES[i]` proposed the pair."""
    features: NDArray[np.float32]
    """`[n, f]`"""
    names: tuple[str, ...]
    """`[f]` names of the features."""

    def lists(self, users: int, k: int) -> Indices:
        """Return `[users, k]` items, best first, -1 where there are fewer."""
        lists = np.full((users, k), -1, dtype=np.int64)
        lists[self.row, self.rank - 1] = self.item
        return lists


def rank(
    trained: Trained,
    past: Past | Prepared,
    users: Indices,
    k: int,
    *,
    repeats: bool,
    allowed: NDArray[np.bool_] | None = None,
    parts: bool = True,
) -> Iterator[Ranked]:
    """Rank for users in blocks; memory is bounded by a block.

    Parameters
    ----------
    past
        What is known; prepared once if several calls need it.
    users
        Numbers of users; -1, or somebody without events, gets what is popular.
    repeats
        Whether what a user has had may be recommended (where the training found that users come back at all).
    allowed
        `[items]`: what may be recommended. None: everything that can be had.
    parts
        Whether to divide scores by groups of features; else there is only `base`, all of it.

    Yields
    ------
    Ranked
        Of a block; `row` counts from the beginning of `users`.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    prepared = past if isinstance(past, Prepared) else prepare(past)
    known = prepared.past
    users = np.where(users < 0, known.users, users)
    repeats = repeats and trained.repeats
    depth = max(trained.plan.depth, k)
    for first in range(0, users.size, prepared.block):
        some = users[first : first + prepared.block]
        yield _rank_block(trained, prepared, some, first, k, depth, allowed, repeats, parts)


def _rank_block(
    trained: Trained,
    prepared: Prepared,
    users: Indices,
    first: int,
    k: int,
    depth: int,
    allowed: NDArray[np.bool_] | None,
    repeats: bool,
    with_parts: bool,
) -> Ranked:
    model = trained.models["repeats" if repeats else "new"]
    block = describe(prepared, users, allowed, depth, repeats=repeats)
    candidates, matrix, names = assemble(block, repeats=repeats)
    if model.features and names != model.features:
        missing = sorted(set(model.features) ^ set(names))
        raise ValueError(f"the ranker was trained on other features ({', '.join(missing[:5])}): train it again")
    stranger = np.isnan(prepared.past.last_age[users])[candidates.row]
    popular = matrix[:, names.index(trained.popular)].astype(np.float64)
    score = np.where(stranger, popular, 0.0)
    score[~stranger] = model.score(matrix[~stranger], names)
    order = np.lexsort((candidates.item, -score, candidates.row))
    place = np.arange(order.size) - np.searchsorted(candidates.row, candidates.row)
    order, place = order[place < k], place[place < k]
    divided = {"base": score[order]}
    if with_parts:
        own = ~stranger[order]
        divided = {"base": np.zeros(order.size), "popularity": np.where(own, 0.0, score[order])}
        for group, values in model.parts(matrix[order[own]], names).items():
            column = divided.setdefault(group, np.zeros(order.size))
            column[own] = values
    total = np.zeros(order.size)
    for values in divided.values():
        total += values
    return Ranked(
        row=first + candidates.row[order],
        item=candidates.item[order],
        rank=place + 1,
        score=total,
        parts=divided,
        sources=candidates.sources[order],
        features=matrix[order],
        names=names,
    )

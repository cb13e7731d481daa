"""What a rule did to a row, in words: (row of the lists, rule, effect)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.rules.facts import ItemFacts
from tideline.ranking.rules.settings import Rules

Indices = NDArray[np.int64]
Effect = tuple[int, str, str]


def boosted_rows(told: Mapping[int, list[str]], item: Indices, index: Indices) -> Iterator[Effect]:
    """Name the boosts of each row; `told` has them by item, `index` is -1 for explored rows, which have none."""
    if told:
        for row in np.flatnonzero((index >= 0) & np.isin(item, list(told))).tolist():
            for effect in told[int(item[row])]:
                yield row, "boost", effect


def moved_rows(before: Indices, after: Indices, index: Indices) -> Iterator[Effect]:
    """Name the rows that diversity moved; `before` and `after` are 0-based places of the scored pairs."""
    ranked = np.flatnonzero(index >= 0)
    ranked = ranked[before[index[ranked]] != after[index[ranked]]]
    for row, old, new in zip(ranked.tolist(), before[index[ranked]], after[index[ranked]], strict=True):
        yield row, "diversity", f"moved from {old + 1} to {new + 1}"


def risen_rows(
    rules: Rules,
    items: ItemFacts,
    full: Indices,
    starts: Indices,
    user: Indices,
    place: Indices,
    rank: Indices,
    index: Indices,
) -> Iterator[Effect]:
    """Name the rows that rose because the cap passed over rows above them.

    Parameters
    ----------
    full, user
        [n] of each candidate in its order before the cap: the category it was passed over for, else -1; its user.
    starts
        [users + 1] where each user's candidates begin.
    place
        [n] 0-based place before the cap, of the scored pairs.
    rank, index
        [rows]
    """
    if not (full >= 0).any():
        return
    nearest = np.maximum.accumulate(np.where(full >= 0, np.arange(full.size), -1))
    above = np.where(nearest >= starts[user], full[nearest], -1)
    ranked = np.flatnonzero(index >= 0)
    # Candidates keep their users' order, so a user's block begins at the same row before and after.
    pair = index[ranked]
    category = above[starts[_users(starts, pair)] + place[pair]]
    for row, old, code in zip(ranked.tolist(), place[pair], category, strict=True):
        if code >= 0:
            effect = (
                f"moved from {old + 1} to {rank[row]}, at most {rules.category_cap} of {items.categories.names[code]}"
            )
            yield row, "category_cap", effect


def explored_rows(items: ItemFacts, item: Indices, index: Indices) -> Iterator[Effect]:
    """Name the explored rows."""
    for row in np.flatnonzero(index < 0).tolist():
        days = int(items.age[item[row]])
        yield row, "exploration", f"new item, {days} day{'' if days == 1 else 's'} old"


def lowered_rows(part: NDArray[np.float64], named: Iterable[Effect]) -> list[Effect]:
    """Name the rows that no rule has named, but whose score had to follow that of a row above."""
    known = {row for row, _, _ in named}
    return [
        (row, "score", "lowered to that of the row above")
        for row in np.flatnonzero(part != 0).tolist()
        if row not in known
    ]


def _users(starts: Indices, pair: Indices) -> Indices:
    return np.searchsorted(starts, pair, side="right") - 1

"""Which items are looked at more closely: the best of every source for each user, and what he has had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.sources import COMMON, NAMES, Scores
from tideline.ranking.pairs import first_of_each, walk_order

OWN_DEPTH = 150
"""Items of the user's own history that are candidates: the latest and most frequent."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of a block of users, each once, ordered by row and item."""

    row: Indices
    """`[n]` place of the user in the block."""
    item: Indices
    sources: Indices
    """Bit i is set where `NAMES[i]` proposed the pair."""
    own: NDArray[np.bool_]
    """Whether the user has had the item."""

    def taken(self, kept: NDArray[np.bool_]) -> Candidates:
        """Return the pairs that are kept."""
        return Candidates(self.row[kept], self.item[kept], self.sources[kept], self.own[kept])


def propose(
    past: Past,
    scores: dict[str, Scores],
    users: Indices,
    allowed: NDArray[np.bool_],
    depth: int,
    *,
    repeats: bool,
    wanted: Indices | None = None,
) -> Candidates:
    """Unite the `depth` best items of every source for each user, of those allowed that he has not had, and his own.

    Parameters
    ----------
    scores
        What the sources say of the block, as `Asked.score` returns it.
    allowed
        `[items]`: what may be recommended.
    repeats
        Whether what the user has had may be recommended: his 150 latest items are candidates then.
    wanted
        Pairs, as row * items + item, that are candidates whether a source proposes them or not.
    """
    known = past.pairs[users]
    owned = np.zeros((users.size, past.items), dtype=bool)
    owned[np.repeat(np.arange(users.size), np.diff(known.indptr)), known.indices] = True
    free = ~owned & allowed
    keys, bits = [], []

    def add(name: str, row: Indices, item: Indices) -> None:
        keys.append(row * np.int64(past.items) + item)
        bits.append(np.full(row.size, 1 << NAMES.index(name), dtype=np.int64))

    for name, score in scores.items():
        if name in COMMON:
            add(name, *_common(score[0], allowed, free, owned, depth))
        elif name != "own":
            add(name, *_best(np.where(free, score, 0), depth))
    if repeats and "own" in scores:
        add("own", *_best(np.where(owned & allowed, scores["own"], 0), OWN_DEPTH))
    if wanted is not None:
        keys.append(wanted)
        bits.append(np.zeros(wanted.size, dtype=np.int64))
    united, place = np.unique(np.concatenate(keys), return_inverse=True)
    sources = np.zeros(united.size, dtype=np.int64)
    np.bitwise_or.at(sources, place, np.concatenate(bits))
    row, item = np.divmod(united, max(past.items, 1))
    return Candidates(row, item, sources, owned[row, item])


def _best(scores: Any, depth: int) -> tuple[Indices, Indices]:
    """Return the pairs of each row's `depth` best scores above 0, and what equals the last of them."""
    columns = scores.shape[1]
    if depth < columns:
        # Sorting values is vectorised; a partition of rows that are zero for the most part takes ten times as long.
        least = np.sort(scores, axis=1)[:, columns - depth, None]
        row, item = np.nonzero(scores >= np.maximum(least, np.finfo(np.float32).tiny))
    else:
        row, item = np.nonzero(scores > 0)
    return row, item


def _common(
    score: NDArray[np.float32], allowed: NDArray[np.bool_], free: Any, owned: Any, depth: int
) -> tuple[Indices, Indices]:
    order = np.argsort(-score, kind="stable")
    order = order[(score[order] > 0) & allowed[order]]
    reach = depth + owned.sum(axis=1)  # who has had much walks further down
    row, item = walk_order(order, reach)
    kept = free[row, item]
    return first_of_each(row[kept], item[kept], np.empty(0, dtype=np.int64), depth, free.shape[1])

"""Which items are looked at more closely: the best of every source for each user, and what he has had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sources import COMMON, NAMES
from tideline.ranking.learned.sparse import among_best, row_of
from tideline.ranking.pairs import first_of_each, walk_order

HAD = np.int32(1 << 30)
"""Bit of a pair that has been; those of the sources lie below it."""
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


@dataclass(frozen=True)
class Pool:
    """What may be proposed to a block of users, as a grid `[b, items]` of bits: 4 bytes a cell."""

    grid: NDArray[np.int32]
    allowed: NDArray[np.bool_]

    def propose(self, name: str, row: Indices, item: Indices) -> Indices:
        """Note that a source proposes pairs, each once; return their keys."""
        self.grid[row, item] |= np.int32(1 << NAMES.index(name))
        return row * np.int64(self.grid.shape[1]) + item

    def free(self, row: Indices, item: Indices) -> NDArray[np.bool_]:
        """Say of pairs whether they are allowed and the user has not had them."""
        return ((self.grid[row, item] & HAD) == 0) & self.allowed[item]

    def had(self, row: Indices, item: Indices) -> NDArray[np.bool_]:
        """Say of pairs whether they are allowed and the user has had them."""
        return ((self.grid[row, item] & HAD) != 0) & self.allowed[item]


    def read(self, scores: Any, size: int) -> NDArray[np.float32]:
        """Return the scores `[size]` that a sparse matrix has for the candidates, once they are numbered."""
        place = self.grid[row_of(scores), scores.indices]
        known = (place > 0) & (place < HAD)
        values = np.zeros(size, dtype=np.float32)
        values[place[known] - 1] = scores.data[known]
        return values


def propose(
    past: Past,
    said: dict[str, Said],
    users: Indices,
    allowed: NDArray[np.bool_],
    depth: int,
    orders: dict[str, Indices],
    *,
    repeats: bool,
    wanted: Indices | None = None,
) -> tuple[Candidates, Pool]:
    """Unite the `depth` best items of every source for each user, of those allowed that he has not had, and his own.

    Parameters
    ----------
    said
        What the sources say of the block, as `Asked.score` returns it.
    allowed
        `[items]`: what may be recommended.
    orders
        Of the common sources, as `order_common` returns them.
    repeats
        Whether what the user has had may be recommended: his 150 latest items are candidates then.
    wanted
        Pairs, as row * items + item, that are candidates whether a source proposes them or not.
    """
    known = past.pairs[users]
    held = np.diff(known.indptr)
    pool = Pool(np.zeros((users.size, past.items), dtype=np.int32), allowed)
    pool.grid[np.repeat(np.arange(users.size), held), known.indices] = HAD
    keys = []
    for name, what in said.items():
        if name in COMMON:
            keys.append(pool.propose(name, *_common(orders[name], held, pool, depth)))
        elif name != "own":
            keys.append(pool.propose(name, *_best(what.scores, pool.free, depth)))
    if repeats and "own" in said:
        keys.append(pool.propose("own", *_best(said["own"].scores, pool.had, OWN_DEPTH)))
    if wanted is not None:
        keys.append(wanted)
    # Sorting is vectorised, and the bits are in the grid: no inverse is needed.
    united = np.sort(np.concatenate(keys))
    united = united[np.diff(united, prepend=-1) > 0]
    row, item = np.divmod(united, max(past.items, 1))
    bits = pool.grid[row, item]
    # From here on the grid tells the place of a candidate.
    pool.grid[row, item] = np.arange(1, row.size + 1, dtype=np.int32)
    return Candidates(row, item, (bits & ~HAD).astype(np.int64), (bits & HAD) != 0), pool


def order_common(said: dict[str, NDArray[np.float32]], allowed: NDArray[np.bool_]) -> dict[str, Indices]:
    """Return the items of each common source, of those allowed with a score above 0, the best first."""
    orders = {}
    for name, score in said.items():
        order = np.argsort(-score, kind="stable")
        orders[name] = order[(score[order] > 0) & allowed[order]]
    return orders


def _best(scores: Any, may: Any, depth: int) -> tuple[Indices, Indices]:
    """Return the pairs of each row's `depth` best scores above 0 that may be, and what equals the last of them."""
    row, item, score = row_of(scores), scores.indices, scores.data
    kept = score > 0
    kept[kept] = may(row[kept], item[kept])
    row, item = row[kept], item[kept]
    best = among_best(row, score[kept], scores.shape[0], depth)
    return row[best], item[best]


def _common(order: Indices, held: Indices, pool: Pool, depth: int) -> tuple[Indices, Indices]:
    row, item = walk_order(order, depth + held)  # who has had much walks further down
    free = pool.free(row, item)
    return first_of_each(row[free], item[free], np.empty(0, dtype=np.int64), depth, pool.grid.shape[1])

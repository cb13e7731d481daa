"""The first stage: which items are looked at more closely. The best of every source for each user, of these the most
promising, and what he has had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sources import COMMON, NAMES
from tideline.ranking.learned.sparse import among_best, row_of, trimmed
from tideline.ranking.pairs import contains, first_of_each, walk_order

HAD = np.int32(1 << 30)
"""Bit of a pair that has been; those of the sources lie below it."""
FAINT = 0.3
"""What a cosine counts for the promise of an item: cosines lie near to each other, so that each says little."""
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
    """What may be proposed to a block of users, as grids of at least `[b, items]`: 8 bytes a cell.

    Memory that was never touched is dear, so that grids are lent from block to block: each leaves zeros.
    """

    grid: NDArray[np.int32]
    """Bits of the sources that propose a pair; once there are candidates, the place of each from 1."""
    promise: NDArray[np.float32]
    """Sum over the sources of what each says of a pair, as a share of the most it says of anything to this user."""
    allowed: NDArray[np.bool_]

    def propose(
        self, name: str, row: Indices, item: Indices, score: NDArray[np.float32], weight: float = 1.0
    ) -> Indices:
        """Note that a source proposes pairs, each once, by row; return their keys."""
        best = np.zeros(self.grid.shape[0], dtype=np.float32)
        np.maximum.at(best, row, score)
        self.grid[row, item] |= np.int32(1 << NAMES.index(name))
        self.promise[row, item] += np.float32(weight) * (score / best[row])
        return row * np.int64(self.grid.shape[1]) + item

    def free(self, row: Indices, item: Indices) -> NDArray[np.bool_]:
        """Say of pairs whether they are allowed and the user has not had them."""
        return np.asarray(((self.grid[row, item] & HAD) == 0) & self.allowed[item], dtype=bool)

    def had(self, row: Indices, item: Indices) -> NDArray[np.bool_]:
        """Say of pairs whether they are allowed and the user has had them."""
        return np.asarray(((self.grid[row, item] & HAD) != 0) & self.allowed[item], dtype=bool)

    def number(self, row: Indices, item: Indices, kept: NDArray[np.bool_]) -> None:
        """Note the places of the candidates that are kept, by row and item; the others are none any more."""
        self.grid[row[~kept], item[~kept]] = 0
        row, item = row[kept], item[kept]
        self.grid[row, item] = np.arange(1, row.size + 1, dtype=np.int32)

    def clear(self, users: Any, found: Candidates) -> None:
        """Put zeros back where the users' pairs `[b, items]` (CSR) and the candidates are."""
        self.grid[row_of(users), users.indices] = 0
        self.grid[found.row, found.item] = 0

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
    pool: Pool,
    depth: int,
    most: int,
    orders: dict[str, Indices],
    *,
    repeats: bool,
    wanted: Indices | None = None,
) -> Candidates:
    """Unite the `depth` best items of every source for each user, of those allowed that he has not had, and his own.

    Of what he has not had, the `most` of the greatest promise stay, and what equals the last of them.

    Parameters
    ----------
    said
        What the sources say of the block, as `Asked.score` returns it.
    pool
        Of zeros. Afterwards `read` gives what sources say of the candidates.
    orders
        Of the common sources, as `order_common` returns them.
    repeats
        Whether what the user has had may be recommended: his 150 latest items are candidates then.
    wanted
        Pairs, as row * items + item, that are candidates whether a source proposes them or not.
    """
    known = past.pairs[users]
    held = np.diff(known.indptr)
    pool.grid[np.repeat(np.arange(users.size), held), known.indices] = HAD
    barred = int(np.count_nonzero(~pool.allowed))
    keys = []
    for name, what in said.items():
        if name in COMMON:
            row, item = _common(orders[name], held, pool, depth)
            keys.append(pool.propose(name, row, item, what.scores[item]))
        elif name != "own":
            found = _best(what.scores, pool.free, depth, held + barred)
            keys.append(pool.propose(name, *found, weight=1.0 if what.at is None else FAINT))
    if repeats and "own" in said:
        keys.append(pool.propose("own", *_best(said["own"].scores, pool.had, OWN_DEPTH, barred)))
    if wanted is not None:
        keys.append(wanted)
    # Sorting is vectorised, and the bits are in the grid: no inverse is needed.
    united = np.sort(np.concatenate(keys))
    united = united[np.diff(united, prepend=-1) > 0]
    row, item = np.divmod(united, max(past.items, 1))
    bits = pool.grid[row, item]
    own = (bits & HAD) != 0
    kept = own.copy()
    kept[~own] = among_best(row[~own], pool.promise[row[~own], item[~own]], users.size, most)
    if wanted is not None:
        kept |= contains(wanted, united)
    pool.promise[row, item] = 0
    pool.number(row, item, kept)
    sources = (bits & ~HAD).astype(np.int64)
    return Candidates(row[kept], item[kept], sources[kept], own[kept])


def order_common(said: dict[str, NDArray[np.float32]], allowed: NDArray[np.bool_]) -> dict[str, Indices]:
    """Return the items of each common source, of those allowed with a score above 0, the best first."""
    orders = {}
    for name, score in said.items():
        order = np.argsort(-score, kind="stable")
        orders[name] = order[(score[order] > 0) & allowed[order]]
    return orders


def _best(scores: Any, may: Any, depth: int, out: Any) -> tuple[Indices, Indices, NDArray[np.float32]]:
    """Return the pairs of each row's `depth` best scores above 0 that may be, and what equals the last of them.

    Parameters
    ----------
    out
        `[b]` or a number: how many scores of a row may be of pairs that may not be. So many more are looked at.
    """
    first = trimmed(scores, depth + out, above=0)
    row, item, score = row_of(first), first.indices, first.data
    kept = may(row, item)
    row, item, score = row[kept], item[kept], score[kept]
    best = among_best(row, score, scores.shape[0], depth)
    return row[best], item[best], score[best]


def _common(order: Indices, held: Indices, pool: Pool, depth: int) -> tuple[Indices, Indices]:
    row, item = walk_order(order, depth + held)  # who has had much walks further down
    free = pool.free(row, item)
    return first_of_each(row[free], item[free], np.empty(0, dtype=np.int64), depth, pool.grid.shape[1])

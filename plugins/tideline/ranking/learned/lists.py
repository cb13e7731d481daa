"""Lists to learn from: candidates of users at past cutoffs, with what the days after brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embeddings.lookahead import map_ahead
from tideline.ranking.learned.features import assemble, describe, prepare
from tideline.ranking.learned.past import Indices, Past

K = 10
GAINS = 1 / np.log2(np.arange(2, K + 2))


@dataclass(frozen=True)
class Lists:
    """Candidates of m users, `[n]` rows in the order of the lists."""

    features: NDArray[np.float32]
    """`[n, f]`"""
    label: NDArray[np.float32]
    """1 where the user had the item within the horizon."""
    list: Indices
    """`[n]` number of the row's list, ascending."""
    wanted: Indices
    """`[m]` how many items the user had within the horizon, candidates or not; at least 1."""
    cutoff: NDArray[np.float64]
    """`[m]` days before `as_of` that the list was made at."""
    names: tuple[str, ...]
    """`[f]`"""

    @property
    def size(self) -> int:
        """How many lists there are."""
        return self.wanted.size

    def some(self, kept: NDArray[np.bool_]) -> Lists:
        """Return the lists of a mask `[m]`."""
        rows = kept[self.list]
        return self.rows(rows, kept)

    def rows(self, rows: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Lists:
        """Return the rows of a mask `[n]`, which must lie in the lists of a mask `[m]`."""
        number = np.cumsum(kept) - 1
        return Lists(
            self.features[rows],
            self.label[rows],
            number[self.list[rows]],
            self.wanted[kept],
            self.cutoff[kept],
            self.names,
        )

    def with_hits(self) -> Lists:
        """Return the lists that have something to find: the others teach nothing about order."""
        return self.some(np.bincount(self.list, self.label, minlength=self.size) > 0)

    def thinned(self, rows: int, seed: int) -> Lists:
        """Return about so many rows: all that were taken, and of the others an equal share, drawn by the seed."""
        if self.label.size <= rows:
            return self
        taken = int(self.label.sum())
        share = max(rows - taken, taken) / (self.label.size - taken)
        drawn = np.random.default_rng(seed).random(self.label.size) < share
        return self.rows(drawn | (self.label > 0), np.ones(self.size, dtype=bool))

    def column(self, name: str) -> NDArray[np.float32]:
        """Return a feature by name."""
        return self.features[:, self.names.index(name)]

    def ndcg(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return NDCG@10 of each list, ordered by scores; ties in the order of the rows (ascending item)."""
        order = np.lexsort((-scores, self.list))
        place = np.arange(order.size) - np.searchsorted(self.list, self.list)
        first = order[place < K]
        gained = np.bincount(self.list[first], self.label[first] * GAINS[place[place < K]], minlength=self.size)
        reached: NDArray[np.float64] = gained / np.cumsum(GAINS)[np.minimum(self.wanted, K) - 1]
        return reached


def join(parts: Sequence[Lists]) -> Lists:
    """Put lists one after the other; of no parts, no lists."""
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Lists(np.empty((0, 0), np.float32), np.empty(0, np.float32), nothing, nothing, np.empty(0), ())
    offsets = np.cumsum([0, *(part.size for part in parts)])
    return Lists(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.list + offset for part, offset in zip(parts, offsets, strict=False)]),
        np.concatenate([part.wanted for part in parts]),
        np.concatenate([part.cutoff for part in parts]),
        parts[0].names,
    )


def active_users(past: Past, days: float, horizon: float) -> Indices:
    """Return the users with events both before a cutoff so many days ago and within the horizon after it."""
    later, _ = past.within(days - horizon, days)
    known = np.zeros(past.rows, dtype=bool)
    known[past.user[past.age > days]] = True
    users = np.unique(later)
    return users[known[users]]


def lists_at(
    past: Past,
    days: float,
    horizon: float,
    depth: int,
    most_users: int,
    seed: int,
    threads: int = 1,
    most: int | None = None,
) -> dict[str, Lists]:
    """Make the lists of a cutoff so many days before `as_of`, for modes `repeats` and `new`.

    Everything but the labels comes from `past.before(days)`, by the code that serves.
    """
    earlier = past.before(days)
    users = active_users(past, days, horizon)
    if users.size > most_users:
        users = np.sort(np.random.default_rng(seed).choice(users, most_users, replace=False))
    prepared = prepare(earlier)
    ready = prepared.ahead(users, None, depth, most)
    later_user, later_item = past.within(days - horizon, days)
    key = later_user * past.items + later_item
    old = np.isin(key, earlier.user * past.items + earlier.item)

    def work(first: int) -> dict[str, Lists]:
        some = users[first : first + prepared.block]
        block = describe(ready, some, repeats=True)
        made = {}
        for mode, wanted in (("repeats", key), ("new", key[~old])):
            candidates, features, names = assemble(block, repeats=mode == "repeats")
            label = np.isin(some[candidates.row] * past.items + candidates.item, wanted).astype(np.float32)
            owner = wanted[np.isin(wanted // past.items, some)] // past.items
            total = np.bincount(np.searchsorted(some, owner), minlength=some.size)
            lists = Lists(features, label, candidates.row, total, np.full(some.size, days), names)
            made[mode] = lists.some(total > 0)
        return made

    blocks = list(map_ahead(work, range(0, users.size, prepared.block), threads))
    return {mode: join([block[mode] for block in blocks]) for mode in ("repeats", "new")} if blocks else {}

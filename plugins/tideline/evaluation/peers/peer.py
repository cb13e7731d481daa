"""What a peer is: a name, a way to learn from a history, and a small grid of its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.split import History, Indices

NOTHING = np.float32(-np.inf)
"""Score of an item that a peer does not recommend to a user."""
CELLS = 8_000_000
"""Scores held at once: 32 MB of float32, and several times that while they are sorted."""

Scorer = Callable[[Indices], NDArray[np.float32]]
"""Users `[b]` -> scores `[b, items]`, `NOTHING` where there is none."""


@dataclass(frozen=True)
class Peer:
    """A recommender to compare with."""

    name: str
    fit: Callable[..., Scorer]
    """`fit(history, **settings)` or, with `needs_vectors`, `fit(history, vectors, **settings)`."""
    grid: Mapping[str, tuple[Any, ...]]
    """Values to try for each setting; every combination is tried on an earlier cutoff."""
    needs_vectors: bool = False
    repeats_only: bool = False
    """It knows nothing but what the user has had."""

    def choices(self) -> list[dict[str, Any]]:
        """Return every combination of the grid."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]


def rank_items(scorer: Scorer, users: Indices, k: int, known: Any = None, items: int | None = None) -> Indices:
    """Return the k best items of each user, `[users, k]`, ties by item number, -1 where there are fewer.

    Parameters
    ----------
    known
        `[users of the history, items]` sparse: pairs to leave out. None: nothing is left out.
    items
        Only the first so many items are recommended. None: all.
    """
    lists = np.full((users.size, k), -1, dtype=np.int64)
    first = 0
    size = 256
    while first < users.size:
        block = users[first : first + size]
        scores = np.array(scorer(block), dtype=np.float32)
        if known is not None:
            part = known[block]
            scores[np.repeat(np.arange(block.size), np.diff(part.indptr)), part.indices] = NOTHING
        if items is not None:
            scores[:, items:] = NOTHING
        lists[first : first + block.size] = best_of(scores, k)
        first += block.size
        size = max(1, CELLS // max(scores.shape[1], 1))
    return lists


def best_of(scores: NDArray[np.float32], k: int) -> Indices:
    """Return the columns of the k greatest scores of each row, best first, ties by column; -1 where there are fewer."""
    rows, columns = scores.shape
    depth = min(k, columns)
    lists = np.full((rows, k), -1, dtype=np.int64)
    if depth == 0:
        return lists
    least = np.partition(scores, columns - depth, axis=1)[:, columns - depth, None]
    row, column = np.nonzero((scores >= least) & (scores > NOTHING))
    order = np.lexsort((column, -scores[row, column], row))
    row, column = row[order], column[order]
    place = np.arange(row.size) - np.searchsorted(row, row)
    kept = place < depth
    lists[row[kept], place[kept]] = column[kept]
    return lists

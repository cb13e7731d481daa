"""Likeness of texts: cosine with the user's long, short and fused vector, and of what has newly arrived."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.retrieval import nearest_items
from tideline.ranking.learned.past import Indices, Interests, Past, Vectors
from tideline.ranking.learned.said import At, Said
from tideline.ranking.learned.sparse import narrowed

NEW_DAYS = 28.0
NEAREST = 30
"""Items that are near to an item of the user's; searching them is exact, and for 100,000 items takes minutes."""
MOST_ITEMS = 100_000
"""Beyond, the nearest are sought among so many items that have been had by most people."""
SHARPNESS = 4.0
HALF_LIFE = 30.0
LONG, SHORT, FUSED = range(3)


def learn(past: Past) -> dict[str, Any] | None:
    """Find the texts near to each other, and what has newly arrived."""
    items = past.interests.items
    if not items.any():
        return None
    with np.errstate(invalid="ignore"):
        return {"near": _near(past, items), "new": past.item_age <= NEW_DAYS}


def ask(lesson: dict[str, Any], own: Past) -> Callable[[Indices], list[Said]]:
    """Score by the cosine of item vectors with the three vectors of the user; the last again for new items only;
    and by the texts nearest to single items that he has had (a mean over many interests is near to none of them).

    Candidates are the nearest to the fused vector, of all items and of the new ones: `Texts.ahead` finds them for many
    users at once. All cosines are moved by 1 (0 to 2), so that 0 says that there is none.
    """
    interests, recent = own.interests, own.matrix(0.5 ** (own.age / HALF_LIFE))
    known = np.asarray(interests.items.any(axis=1), dtype=bool)
    return Texts(own, interests, lesson["near"], lesson["new"], recent, known)


@dataclass(frozen=True)
class Found:
    """The nearest free items of some users."""

    users: Indices
    """`[n]` ascending, each once."""
    items: tuple[Indices, Indices]
    """`[n, k]` of all and of the new ones, -1 for none."""


@dataclass(frozen=True)
class Texts:
    """The scorer: what is known of the users' texts, and what was found ahead for some of them."""

    own: Past
    interests: Interests
    near: Any
    new: NDArray[np.bool_]
    recent: Any
    known: NDArray[np.bool_]
    """`[items]` whether an item has a vector."""
    found: Found | None = None

    def ahead(self, users: Indices, allowed: NDArray[np.bool_], depth: int) -> Texts:
        """Find the `depth` nearest items of users, of those allowed that they have not had, before they are scored."""
        some = np.unique(users)
        queries = self.interests.fused[some]
        asked = np.flatnonzero(queries.any(axis=1))
        known = self.own.pairs[some[asked]]
        excluded = (np.repeat(np.arange(asked.size), np.diff(known.indptr)), known.indices.astype(np.int64))
        has_text = self.known & allowed
        found = []
        for among in (has_text, has_text & self.new):
            nearest, _ = nearest_items(queries[asked], self.interests.items, depth, allowed=among, excluded=excluded)
            found.append(np.full((some.size, nearest.shape[1]), -1, dtype=np.int64))
            found[-1][asked] = nearest
        return replace(self, found=Found(some, (found[0], found[1])))

    def __call__(self, users: Indices) -> list[Said]:
        """Score a block; all its users must have been looked for ahead.

        Raises
        ------
        ValueError
            If they were not.
        """
        if self.found is None:
            raise ValueError("texts are searched for many users at once: call `ahead` first")
        cosines = _Cosines(self, users)
        place = np.searchsorted(self.found.users, users)
        every, new = (self._say(cosines, nearest[place]) for nearest in self.found.items)
        nothing = self._say(cosines, np.full((users.size, 0), -1, dtype=np.int64))
        new_only = lambda row, item: np.where(self.new[item], cosines(FUSED)(row, item), np.float32(0))  # noqa: E731
        return [
            Said(nothing, cosines(LONG)),
            Said(nothing, cosines(SHORT)),
            Said(every, cosines(FUSED)),
            Said(new, new_only),
            Said(self.recent[users] @ self.near),
        ]

    def _say(self, cosines: _Cosines, nearest: Indices) -> Any:
        """Return the cosines of the nearest items with the fused vector, as CSR."""
        from scipy.sparse import csr_array

        row, column = np.nonzero(nearest >= 0)
        item = nearest[row, column]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(nearest)))])
        values = cosines.of_pairs(row, item, (FUSED,))[:, 0]
        return narrowed(csr_array((values, item, indptr), shape=(len(nearest), self.own.items)))


class _Cosines:
    """1 and the cosines of pairs of a block; the last pairs are remembered, as every vector is asked about the same."""

    def __init__(self, texts: Texts, users: Indices) -> None:
        interests = texts.interests
        self.items, self.known = interests.items, texts.known
        self.vectors = np.stack([vectors[users] for vectors in (interests.long, interests.short, interests.fused)], 1)
        self.has = np.asarray(self.vectors.any(axis=2), dtype=bool)
        self.last: tuple[Indices, Indices, NDArray[np.float32]] | None = None

    def __call__(self, kind: int) -> At:
        def at(row: Indices, item: Indices) -> NDArray[np.float32]:
            if self.last is None or self.last[0] is not row or self.last[1] is not item:
                self.last = (row, item, self.of_pairs(row, item, (LONG, SHORT, FUSED)))
            return self.last[2][:, kind]

        return at

    def of_pairs(self, row: Indices, item: Indices, kinds: tuple[int, ...]) -> NDArray[np.float32]:
        """Return `[n, kinds]`, 0 where a vector is missing; pairs by ascending row.

        One small product a user, so that nobody's cosines depend on who stands beside him.
        """
        result = np.zeros((row.size, len(kinds)), dtype=np.float32)
        bounds = np.searchsorted(row, np.arange(len(self.vectors) + 1)).tolist()
        for user, (first, last) in enumerate(itertools.pairwise(bounds)):
            if last > first and self.has[user, kinds].any():
                near = self.items[item[first:last]]
                result[first:last] = np.where(
                    self.known[item[first:last], None], 1 + near @ self.vectors[user, kinds].T, 0
                )
        result[~self.has[row][:, kinds]] = 0
        return result


def _near(past: Past, items: Vectors) -> Any:
    """Return `[items, items]` sparse: the cosine with the 30 nearest others to the power of 4, 0 elsewhere."""
    from scipy.sparse import csr_array

    known = np.flatnonzero(items.any(axis=1))
    if known.size > MOST_ITEMS:
        known = np.sort(known[np.argsort(-past.owners[known], kind="stable")[:MOST_ITEMS]])
    vectors = items[known]
    index, cosines = nearest_items(vectors, vectors, min(NEAREST + 1, known.size))
    row = np.repeat(np.arange(known.size), index.shape[1])
    others = index.ravel() != row
    values = np.maximum(cosines.ravel()[others], 0) ** SHARPNESS
    shape = (past.items, past.items)
    return csr_array((values, (known[row[others]], known[index.ravel()[others]])), shape=shape)

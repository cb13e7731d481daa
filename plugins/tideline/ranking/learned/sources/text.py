"""Likeness of texts: cosine with the user's long, short and fused vector, and of what has newly arrived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.retrieval import nearest_items
from tideline.ranking.learned.past import Indices, Interests, Past, Vectors
from tideline.ranking.learned.said import Said

NEW_DAYS = 28.0
NEAREST = 30
"""Items that are near to an item of the user's; searching them is exact, and for 100,000 items takes minutes."""
MOST_ITEMS = 100_000
"""Beyond, the nearest are sought among so many items that have been had by most people."""
SHARPNESS = 4.0
HALF_LIFE = 30.0
ROWS = 20_000
"""Pairs whose cosines are computed together: 60 MB."""


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
    return Texts(own, own.interests, lesson["near"], lesson["new"], own.matrix(0.5 ** (own.age / HALF_LIFE)))


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
    found: Found | None = None

    def ahead(self, users: Indices, allowed: NDArray[np.bool_], depth: int) -> Texts:
        """Find the `depth` nearest items of users, of those allowed that they have not had, before they are scored."""
        some = np.unique(users)
        queries = self.interests.fused[some]
        asked = np.flatnonzero(queries.any(axis=1))
        known = self.own.pairs[some[asked]]
        excluded = (np.repeat(np.arange(asked.size), np.diff(known.indptr)), known.indices.astype(np.int64))
        has_text = self.interests.items.any(axis=1) & allowed
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
        place = np.searchsorted(self.found.users, users)
        nothing = np.full((users.size, 0), -1, dtype=np.int64)
        kinds = (
            (self.interests.long, nothing, None),
            (self.interests.short, nothing, None),
            (self.interests.fused, self.found.items[0][place], None),
            (self.interests.fused, self.found.items[1][place], self.new),
        )
        said = [self._say(users, *kind) for kind in kinds]
        return [*said, Said(self.recent[users] @ self.near)]

    def _say(
        self, users: Indices, vectors: Vectors, nearest: Indices, among: NDArray[np.bool_] | None
    ) -> Said:
        from scipy.sparse import csr_array

        def at(row: Indices, item: Indices) -> NDArray[np.float32]:
            cosines = _cosines(vectors, users[row], self.interests.items, item)
            return cosines if among is None else np.where(among[item], cosines, np.float32(0))

        row, column = np.nonzero(nearest >= 0)
        item = nearest[row, column]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=users.size))])
        return Said(csr_array((at(row, item), item, indptr), shape=(users.size, self.own.items)), at)


def _cosines(left: Vectors, row: Indices, right: Vectors, item: Indices) -> NDArray[np.float32]:
    """Return 1 and the cosine of pairs, each by itself, so that nobody's depends on who stands beside him; 0: none."""
    result = np.zeros(row.size, dtype=np.float32)
    for first in range(0, row.size, ROWS):
        part = slice(first, first + ROWS)
        one, other = left[row[part]], right[item[part]]
        known = one.any(axis=1) & other.any(axis=1)
        result[part] = np.where(known, 1 + np.einsum("nd,nd->n", one, other), 0)
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

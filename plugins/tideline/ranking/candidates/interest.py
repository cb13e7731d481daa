"""What lies nearest to the user's fused interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embeddings.retrieval import nearest_items
from tideline.ranking.candidates import source
from tideline.ranking.pairs import Indices, first_of_each

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan

DEPTH = 100
PRODUCTS = 16_000_000
"""Cosines held at once: 64 MB of float32."""


@source("interest")
def propose(block: Block, catalogue: Catalogue, plan: RankingPlan) -> tuple[Indices, Indices]:
    """Propose each user's 100 nearest available items that are not excluded, by exact search."""
    searchable = np.flatnonzero(catalogue.has_vector & catalogue.available)
    return nearest_allowed(
        block.interests.fused,
        np.flatnonzero(block.interests.has_fused),
        catalogue.vectors,
        searchable,
        block.excluded,
        block.excluded_count,
        DEPTH,
    )


def nearest_allowed(
    queries: NDArray[np.float32],
    users: Indices,
    vectors: NDArray[np.float32],
    searchable: Indices,
    excluded: Indices,
    excluded_count: Indices,
    depth: int,
) -> tuple[Indices, Indices]:
    """Return the `depth` nearest items of each user that are not excluded, best first within a user.

    A user with s excluded items needs his `depth` + s nearest. Users are searched in groups of similar s, each twice
    as deep as the one before, so the search goes at most about twice as deep as needed; the loop runs
    over these few groups, not over users.

    Parameters
    ----------
    queries
        [users of the block, d] unit rows.
    users
        Rows of `queries` that are searched for, ascending.
    vectors
        [items, d] unit rows.
    searchable
        Rows of `vectors` that may be found, ascending.
    excluded, excluded_count
        Sorted pair keys, and how many a user of the block has.
    """
    if searchable.size == 0 or users.size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    targets = vectors[searchable]
    reach = np.minimum(depth * np.exp2(np.ceil(np.log2(1 + excluded_count[users] / depth))), searchable.size)
    found_user, found_item = [], []
    for k in np.unique(reach).astype(np.int64):
        group = users[reach == k]
        index, _ = nearest_items(queries[group], targets, int(k), max(1, PRODUCTS // searchable.size))
        found_user.append(np.repeat(group, index.shape[1]))
        found_item.append(searchable[np.asarray(index, dtype=np.int64).ravel()])
    user, item = np.concatenate(found_user), np.concatenate(found_item)
    order = np.argsort(user, kind="stable")
    return first_of_each(user[order], item[order], excluded, depth, vectors.shape[0])

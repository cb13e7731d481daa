"""What lies nearest to the user's fused interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embeddings.retrieval import index_pays, nearest_items
from tideline.ranking.candidates import source
from tideline.ranking.pairs import Indices

if TYPE_CHECKING:
    from embeddings.retrieval.indexed import Index
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan
    from tideline.run import Run

DEPTH = 100
ITEM_INDEX = "item_index"
"""Folder of the run for an index of its items."""


@source("interest")
def propose(block: Block, catalogue: Catalogue, plan: RankingPlan) -> tuple[Indices, Indices]:
    """Propose each user's 100 nearest available items that are not excluded; exact, but where an index was built."""
    return nearest_allowed(
        block.interests.fused,
        np.flatnonzero(block.interests.has_fused),
        catalogue.vectors,
        catalogue.searchable,
        block.excluded,
        DEPTH,
        catalogue.index,
        plan.threads,
    )


def build_index_if_it_pays(block: Block, catalogue: Catalogue, run: Run, plan: RankingPlan, users: int) -> Index | None:
    """Index the searchable items if that answers all `users` of the run sooner; its recall is measured on the block."""
    queries = block.interests.fused[block.interests.has_fused]
    found, dimension = int(catalogue.searchable.sum()), catalogue.vectors.shape[1]
    if len(queries) == 0 or not index_pays(users, found, dimension, DEPTH, plan.threads):
        return None
    from embeddings.retrieval.indexed import build_index

    items = catalogue.vectors[catalogue.searchable]
    return build_index(run.path / ITEM_INDEX, items, queries, DEPTH, plan.threads)


def nearest_allowed(
    queries: NDArray[np.float32],
    users: Indices,
    vectors: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    excluded: Indices,
    depth: int,
    index: Index | None = None,
    threads: int | None = None,
) -> tuple[Indices, Indices]:
    """Return the `depth` nearest items of each user that are not excluded, best first within a user.

    Parameters
    ----------
    queries
        [users of the block, d] unit rows.
    users
        Rows of `queries` that are searched for, ascending.
    vectors
        [items, d] unit rows.
    allowed
        [items] which of them may be found at all.
    excluded
        Sorted pair keys of what a user may not be shown.
    index
        Of the allowed items; without it the search is exact.
    threads
        Of the search; None leaves them as they are.
    """
    user, item = np.divmod(excluded, max(len(vectors), 1))
    asked = np.zeros(len(queries), dtype=bool)
    asked[users] = True
    user, item = user[asked[user]], item[asked[user]]
    pairs = np.searchsorted(users, user), item
    nearest, _ = nearest_items(
        queries[users], vectors, depth, allowed=allowed, excluded=pairs, index=index, threads=threads
    )
    found = nearest >= 0
    return np.repeat(users, found.sum(axis=1)), nearest[found]

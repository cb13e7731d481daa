"""What lies nearest to the user's fused interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embeddings.retrieval import nearest_items
from tideline.ranking.candidates import source
from tideline.ranking.pairs import Indices

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan

DEPTH = 100


@source("interest")
def propose(block: Block, catalogue: Catalogue, plan: RankingPlan) -> tuple[Indices, Indices]:
    """Propose each user's 100 nearest available items that are not excluded, by exact search."""
    return nearest_allowed(
        block.interests.fused,
        np.flatnonzero(block.interests.has_fused),
        catalogue.vectors,
        catalogue.has_vector & catalogue.available,
        block.excluded,
        DEPTH,
        plan.threads,
    )


def nearest_allowed(
    queries: NDArray[np.float32],
    users: Indices,
    vectors: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    excluded: Indices,
    depth: int,
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
    threads
        Of the search; None leaves them as they are.
    """
    user, item = np.divmod(excluded, max(len(vectors), 1))
    asked = np.zeros(len(queries), dtype=bool)
    asked[users] = True
    user, item = user[asked[user]], item[asked[user]]
    pairs = np.searchsorted(users, user), item
    index, _ = nearest_items(queries[users], vectors, depth, allowed=allowed, excluded=pairs, threads=threads)
    found = index >= 0
    return np.repeat(users, found.sum(axis=1)), index[found]

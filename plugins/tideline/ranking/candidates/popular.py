"""What most people choose; the source that reaches every user, whatever is known about him."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tideline.ranking.candidates import source
from tideline.ranking.pairs import Indices, first_of_each, walk_order

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan

DEPTH = 50


@source("popular")
def propose(block: Block, catalogue: Catalogue, plan: RankingPlan) -> tuple[Indices, Indices]:
    """Propose each user's first 50 (at least `top_k`) most popular items that are not excluded.

    The order holds every available item, so each user gets as many as the catalogue allows.
    """
    depth = max(DEPTH, plan.top_k)
    user, item = walk_order(catalogue.popular_order, block.excluded_count + depth)
    return first_of_each(user, item, block.excluded, depth, catalogue.size)

"""What people choose now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tideline.ranking.candidates import source
from tideline.ranking.pairs import Indices, first_of_each, walk_order

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan

DEPTH = 50


@source("trending")
def propose(block: Block, catalogue: Catalogue, plan: RankingPlan) -> tuple[Indices, Indices]:
    """Propose each user's first 50 items of the trend that are not excluded."""
    user, item = walk_order(catalogue.trend_order, block.excluded_count + DEPTH)
    return first_of_each(user, item, block.excluded, DEPTH, catalogue.size)

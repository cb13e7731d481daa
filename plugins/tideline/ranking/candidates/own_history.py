"""What the user chose before, where repeats are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tideline.ranking.candidates import source
from tideline.ranking.pairs import Indices, first_of_each

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan

DEPTH = 100


@source("own_history")
def propose(block: Block, catalogue: Catalogue, plan: RankingPlan) -> tuple[Indices, Indices]:
    """Propose the 100 available items with the largest decayed weight of each user; none if repeats are not allowed."""
    history = block.history
    if not plan.repeats_allowed:
        return history.user[:0], history.item[:0]
    kept = np.flatnonzero(catalogue.available[history.item] & (history.decayed_weight > 0))
    user, item = history.user[kept], history.item[kept]
    order = np.lexsort((item, -history.decayed_weight[kept], user))
    return first_of_each(user[order], item[order], block.excluded, DEPTH, catalogue.size)

"""Rules: what may not be shown. A rule that removes an item leaves no row; one that changes a row is named in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.pairs import Indices, contains, pair_keys

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue


def excluded_keys(user: Indices, item: Indices, items: int, *, repeats_allowed: bool) -> Indices:
    """Return the sorted keys of pairs that may not be shown: all with a history, unless repeats are allowed.

    The history, `user` and `item`, comes ordered by both, each pair once.
    """
    return np.empty(0, dtype=np.int64) if repeats_allowed else pair_keys(user, item, items)


def keep(block: Block, catalogue: Catalogue, user: Indices, item: Indices) -> NDArray[np.bool_]:
    """Say for each pair whether it may be shown: the item is available and the pair is not excluded."""
    return catalogue.available[item] & ~contains(block.excluded, pair_keys(user, item, catalogue.size))

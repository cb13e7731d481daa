"""Which contender ranks: the best on the held-out lists, unless they are too few to tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLEND, TREES = "blend", "trees"
CLEARLY = 2.0
"""Standard errors by which a single source must beat the blend."""


def choose_winner(reached: Mapping[str, Floats], weights: Floats) -> str:
    """Choose by what each contender reached on each held-out list, `[m]`; `weights` says how much a list counts.

    Where there are lists enough to grow trees, the best mean wins. Where there are not, the best of some contenders
    on a few dozen lists is mostly luck: the blend, which hedges between all sources, ranks then unless another
    contender is clearly better.
    """
    best = max(reached, key=lambda name: float(np.average(reached[name], weights=weights)))
    if TREES in reached or BLEND not in reached:
        return best
    gained = (reached[best] - reached[BLEND]) * weights / weights.mean()
    error = gained.std() / np.sqrt(gained.size)
    return best if gained.mean() > CLEARLY * error else BLEND

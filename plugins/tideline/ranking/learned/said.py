"""What a source says of a block of users: a score above 0 for some items, sparse, or the same of every item to all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
At = Callable[[Indices, Indices], NDArray[np.float32]]
"""Rows of the block and items `[n]` -> their scores `[n]`."""


@dataclass(frozen=True)
class Said:
    """Scores of one source."""

    scores: Any
    """`[b, items]` scipy CSR, or `[items]` of a source that says the same to everybody. 0 or less: nothing to say."""
    at: At | None = None
    """Scores of any pairs, where `scores` holds but the best; None: it holds all there are."""

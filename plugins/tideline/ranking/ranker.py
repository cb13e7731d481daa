"""The score: one transparent blend whose parts sum to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.features import Features

PARTS = ("base", "long", "short", "own_history", "trend", "popularity")
"""Parts of the score, in the order in which they are summed and published."""


def score(features: Features, weights: Mapping[str, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score n candidates.

    `long` and `short` together are `interest` times the cosine with the fused vector: that vector is
    (gate * long + (1 - gate) * short) / fused_norm, so its cosine splits along the sum. `own_history` saturates as
    h / (1 + h) of the decayed weight h. A part without support is 0.

    Returns
    -------
    tuple
        Scores [n] and parts [n, len(PARTS)]; adding a row's parts from left to right gives its score exactly.
    """
    own = np.maximum(features["own_weight"], 0.0)
    columns = {
        "base": np.zeros_like(own),
        "long": weights["interest"] * vector_coefficient(features["gate"], features["fused_norm"], "long")
        * np.nan_to_num(features["long_cosine"]),
        "short": weights["interest"] * vector_coefficient(features["gate"], features["fused_norm"], "short")
        * np.nan_to_num(features["short_cosine"]),
        "own_history": weights["own_history"] * own / (1.0 + own),
        "trend": weights["trend"] * features["trend"],
        "popularity": weights["popularity"] * features["popularity"],
    }  # fmt: skip
    parts = np.stack([columns[name] for name in PARTS], axis=1)
    total = np.zeros(own.size)
    for column in range(len(PARTS)):
        total += parts[:, column]
    return total, parts


def vector_coefficient(gate: NDArray[np.float64], fused_norm: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """Return what a cosine with the long or short vector weighs in the cosine with the fused one; 0 without vectors."""
    weight = gate if part == "long" else 1.0 - gate
    return np.where(fused_norm > 0, np.nan_to_num(weight) / np.where(fused_norm > 0, fused_norm, 1.0), 0.0)

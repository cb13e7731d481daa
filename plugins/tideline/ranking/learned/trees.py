"""LambdaMART (LightGBM): trees that learn the order of a list."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.lists import Lists

PARAMETERS: dict[str, Any] = {
    "objective": "lambdarank",
    "label_gain": [0, 1],
    "lambdarank_truncation_level": 20,
    "learning_rate": 0.07,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
STEP = 20


def fit_trees(lists: Lists, rounds: int, seed: int, threads: int, importance: NDArray[np.float64] | None = None) -> Any:
    """Train a booster of so many rounds; the same lists, seed and threads give the same bits."""
    import lightgbm

    data = lightgbm.Dataset(
        lists.features,
        lists.label,
        group=np.bincount(lists.list, minlength=lists.size),
        weight=None if importance is None else importance[lists.list],
        feature_name=[name.replace(".", "_of_") for name in lists.names],
        free_raw_data=True,
    )
    return lightgbm.train(PARAMETERS | {"seed": seed, "num_threads": threads}, data, num_boost_round=rounds)


def best_rounds(booster: Any, held: Lists, importance: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """Return after how many rounds, in steps of 20, held-out lists had the best mean NDCG@10, and its scores then."""
    scores = np.zeros(held.label.size)
    best = (-1.0, 0, scores)
    for first in range(0, booster.current_iteration(), STEP):
        count = min(STEP, booster.current_iteration() - first)
        scores = scores + booster.predict(held.features, start_iteration=first, num_iteration=count, raw_score=True)
        mean = float(np.average(held.ndcg(scores), weights=importance))
        if mean > best[0]:
            best = (mean, first + count, scores)
    return best[1], best[2]

"""A blend of few parameters: the sources' shares and ranks, each with a weight that cannot be negative."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.lists import Lists

PENALTY = 1e-3
STEPS = 150


def terms(matrix: NDArray[np.float32], names: tuple[str, ...]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the columns `[n, t]` that are blended, the greater the better, and their names.

    They are the share of the user's best, and 1 / (1 + rank) to the power of a half of each source.
    """
    chosen = [name for name in names if name.endswith((".share", ".rank"))]
    columns = matrix[:, [names.index(name) for name in chosen]].astype(np.float64)
    ranks = np.array([name.endswith(".rank") for name in chosen])
    columns[:, ranks] = np.exp(-0.5 * columns[:, ranks])
    np.clip(columns, -1.0, 1.0, out=columns)
    return columns, tuple(chosen)


def fit_blend(lists: Lists, importance: NDArray[np.float64] | None = None) -> dict[str, float]:
    """Fit the weights by the likelihood of what was taken among the candidates (softmax over each list).

    Parameters
    ----------
    importance
        `[m]` how much each list counts; None: all alike.
    """
    from scipy.optimize import minimize

    columns, names = terms(lists.features, lists.names)
    hits = np.bincount(lists.list, lists.label, minlength=lists.size)
    weight = np.ones(lists.size) if importance is None else importance
    weight = np.where(hits > 0, weight, 0.0)
    share = lists.label * (weight / np.maximum(hits, 1))[lists.list]
    starts = np.searchsorted(lists.list, np.arange(lists.size))
    total = max(weight.sum(), 1e-9)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = columns @ weights
        scores -= np.maximum.reduceat(scores, starts)[lists.list]
        odds = np.exp(scores)
        sums = np.add.reduceat(odds, starts)
        value = (weight * np.log(sums)).sum() - (share * scores).sum()
        gradient = columns.T @ (odds * (weight / sums)[lists.list] - share)
        return value / total + PENALTY * (weights @ weights), gradient / total + 2 * PENALTY * weights

    start = np.full(len(names), 0.1)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(names), options={"maxiter": STEPS}
    )
    return {name: float(value) for name, value in zip(names, found.x, strict=True) if value > 0}


def blend_parts(
    matrix: NDArray[np.float32], names: tuple[str, ...], weights: Mapping[str, float]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return what each weighted term adds to the score, `[n, terms]`, and the names of the terms."""
    columns, all_names = terms(matrix, names)
    chosen = [name for name in all_names if name in weights]
    values = np.array([weights[name] for name in chosen])
    return columns[:, [all_names.index(name) for name in chosen]] * values, tuple(chosen)

"""A blend of few parameters: the sources' shares and ranks, each with a weight that cannot be negative."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.lists import Lists

PENALTY = 1e-3
"""On the square of each weight, beside the mean over the lists."""
FEW = 1000
"""With fewer lists the penalty counts as if there were so many, else twenty weights would learn chance by heart."""
STEPS = 150


def term_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the features that are blended: the share of the user's best, and the rank, of each source."""
    return tuple(name for name in names if name.endswith((".share", ".rank")))


def terms(matrix: NDArray[np.float32], names: tuple[str, ...], chosen: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the chosen terms as columns `[n, terms]`, the greater the better, from -1 to 1.

    A share is taken as it is; a rank counts 1 / sqrt(1 + rank).
    """
    columns = matrix[:, [names.index(name) for name in chosen]].astype(np.float64)
    ranks = np.array([name.endswith(".rank") for name in chosen], dtype=bool)
    columns[:, ranks] = np.exp(-0.5 * columns[:, ranks])
    np.clip(columns, -1.0, 1.0, out=columns)
    return columns


def fit_blend(lists: Lists, importance: NDArray[np.float64] | None = None) -> dict[str, float]:
    """Fit the weights by the likelihood of what was taken among the candidates (softmax over each list).

    Parameters
    ----------
    importance
        `[m]` how much each list counts; None: all alike.
    """
    from scipy.optimize import minimize

    names = term_names(lists.names)
    columns = terms(lists.features, lists.names, names)
    hits = np.bincount(lists.list, lists.label, minlength=lists.size)
    weight = np.ones(lists.size) if importance is None else importance
    weight = np.where(hits > 0, weight, 0.0)
    share = lists.label * (weight / np.maximum(hits, 1))[lists.list]
    starts = np.searchsorted(lists.list, np.arange(lists.size))
    total = max(weight.sum(), 1e-9)
    penalty = PENALTY * max(FEW / total, 1.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = columns @ weights
        scores -= np.maximum.reduceat(scores, starts)[lists.list]
        odds = np.exp(scores)
        sums = np.add.reduceat(odds, starts)
        value = (weight * np.log(sums)).sum() - (share * scores).sum()
        gradient = columns.T @ (odds * (weight / sums)[lists.list] - share)
        return value / total + penalty * (weights @ weights), gradient / total + 2 * penalty * weights

    start = np.full(len(names), 0.1)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(names), options={"maxiter": STEPS}
    )
    return {name: float(value) for name, value in zip(names, found.x, strict=True) if value > 0}


def blend_parts(
    matrix: NDArray[np.float32], names: tuple[str, ...], weights: Mapping[str, float]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return what each weighted term adds to the score, `[n, terms]`, and the names of the terms."""
    chosen = tuple(name for name in term_names(names) if name in weights)
    return terms(matrix, names, chosen) * np.array([weights[name] for name in chosen]), chosen

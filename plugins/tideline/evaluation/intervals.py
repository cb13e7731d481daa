"""How sure a mean is: bootstrap over users, the same draws for all, so that differences are paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.split import Indices

DRAWS = 1000
SEED = 17
CELLS = 20_000_000


@dataclass(frozen=True)
class Estimate:
    """A mean with the 2.5 and 97.5 percentiles of its bootstrap."""

    value: float
    low: float
    high: float


class Bootstrap:
    """Draws of users with replacement (Efron 1979). Who is a test user at several cutoffs is drawn once for all of them.

    Parameters
    ----------
    people
        Users of each cutoff, `[n_c]` each, named by one number all over.
    """

    def __init__(self, people: Sequence[Indices], draws: int = DRAWS, seed: int = SEED) -> None:
        self.people = people
        everybody = np.unique(np.concatenate([*people, np.empty(0, dtype=np.int64)]))
        self._place = [np.searchsorted(everybody, part) for part in people]
        random = np.random.default_rng(seed)
        self._counts = np.empty((draws, everybody.size), dtype=np.float32)
        step = max(1, CELLS // max(everybody.size, 1))
        for first in range(0, draws, step):
            rows = self._counts[first : first + step]
            drawn = random.integers(0, max(everybody.size, 1), (len(rows), everybody.size))
            keys = drawn + np.arange(len(rows))[:, None] * everybody.size
            rows[:] = np.bincount(keys.ravel(), minlength=rows.size).reshape(rows.shape)

    def means(self, values: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average values over users within a cutoff, then over cutoffs, for the users as they are and for each draw.

        Parameters
        ----------
        values
            `[n_c, m]` for each cutoff; a row of NaN leaves its user out, and a cutoff without users is left out.

        Returns
        -------
        value : `[m]`
        drawn : `[draws, m]`
            A draw that has nobody of a cutoff leaves the cutoff out.
        """
        parts, draws = [], []
        for place, matrix in zip(self._place, values, strict=True):
            there = ~np.isnan(matrix)
            if not there.any():
                continue
            filled = np.where(there, matrix, 0.0)
            with np.errstate(invalid="ignore", divide="ignore"):
                parts.append(filled.sum(axis=0) / there.sum(axis=0))
                weights = self._counts[:, place].astype(np.float64)
                draws.append((weights @ filled) / (weights @ there.astype(np.float64)))
        columns = values[0].shape[1] if values else 0
        if not parts:
            return np.full(columns, np.nan), np.full((len(self._counts), columns), np.nan)
        return _mean(np.stack(parts)), _mean(np.stack(draws))


    def value(self, values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the first part of `means` alone."""
        with np.errstate(invalid="ignore", divide="ignore"):
            parts = [np.nansum(matrix, axis=0) / (~np.isnan(matrix)).sum(axis=0) for matrix in values]
        return _mean(np.stack(parts))


def estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
    """Return a mean with its 95% percentile interval; NaN where there is nothing."""
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        return Estimate(float(value), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def _mean(stacked: NDArray[np.float64]) -> NDArray[np.float64]:
    there = ~np.isnan(stacked)
    count = there.sum(axis=0)
    total = np.where(there, stacked, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)

"""How faithful a backend is to the reference: what its vectors lose by a lower precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 10
MEAN_COSINE, WORST_COSINE, SAME_NEIGHBOURS, ALONE_COSINE = 0.999, 0.99, 0.95, 0.9999


class Fidelity(NamedTuple):
    """Figures of one backend against the reference, all at most 1."""

    mean_cosine: float
    worst_cosine: float
    same_neighbours: float
    """Share of the ten nearest texts that are the same, mean over texts."""
    alone_cosine: float
    """Worst cosine between a text's vector computed alone and in a batch."""

    @property
    def passes(self) -> bool:
        """Whether its vectors may stand in one table with the reference's."""
        return (
            self.mean_cosine >= MEAN_COSINE
            and self.worst_cosine >= WORST_COSINE
            and self.same_neighbours >= SAME_NEIGHBOURS
            and self.alone_cosine >= ALONE_COSINE
        )


def measure(
    reference: NDArray[np.float32], vectors: NDArray[np.float32], alone: Callable[[int], NDArray[np.float32]]
) -> Fidelity:
    """Compare a backend's vectors with the reference's.

    Parameters
    ----------
    reference, vectors
        Unit vectors of the same texts, `[n, d]`.
    alone
        Returns the backend's vector of a row's text computed by itself, `[d]`; asked for up to 32 rows.
    """
    cosines = np.einsum("nd,nd->n", reference, vectors, dtype=np.float64)
    rows = np.unique(np.linspace(0, len(vectors) - 1, 32).astype(np.int64))
    by_itself = [float(alone(int(row)).astype(np.float64) @ vectors[row]) for row in rows]
    same = np.array(
        [len(np.intersect1d(*pair)) for pair in zip(_nearest(reference), _nearest(vectors), strict=True)]
    ) / min(NEIGHBOURS, max(len(vectors) - 1, 1))
    return Fidelity(*(round(float(value), 7) for value in (cosines.mean(), cosines.min(), same.mean(), min(by_itself))))


def _nearest(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the rows of each row's nearest others, `[n, NEIGHBOURS]`."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, : min(NEIGHBOURS, max(len(vectors) - 1, 1))]

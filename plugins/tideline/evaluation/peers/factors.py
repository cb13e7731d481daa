"""Implicit ALS: users and items as short vectors whose product says how sure we are of a pair."""

from __future__ import annotations

import numpy as np

from tideline.evaluation.peers.peer import NOTHING, Peer, Scorer
from tideline.evaluation.split import History, Indices

ITERATIONS = 15
SEED = 17
THREADS = 2


def fit_als(history: History, *, factors: int, regularization: float, alpha: float) -> Scorer:
    """Score items by implicit ALS (Hu, Koren and Volinsky, ICDM 2008), as `implicit` has it, on pairs without weights."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    # Its threads and those of the linear algebra would stand in each other's way.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=alpha,
            iterations=ITERATIONS,
            num_threads=THREADS,
            random_state=SEED,
        )
        model.fit(csr_matrix(history.pairs), show_progress=False)
    user_factors, item_factors = np.asarray(model.user_factors), np.asarray(model.item_factors)
    absent = np.bincount(history.pairs.indices, minlength=history.items) == 0

    def score(users: Indices) -> np.ndarray:
        scores = user_factors[users] @ item_factors.T
        scores[:, absent] = NOTHING
        return scores

    return score


PEERS = (
    Peer("als", fit_als, {"factors": (32, 128), "regularization": (0.01, 10.0), "alpha": (1.0, 10.0)}),
)

"""Cosines in float32 of the items that a cheaper way proposed, and the order of the best of them."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def rank_exactly(queries: Tensor, vectors: Tensor, proposed: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the best k of each query's own items: nearest first, of equal cosines the lower index first.

    Parameters
    ----------
    queries, vectors
        float32 `[q, d]` and `[n, d]`.
    proposed
        int64 `[q, w]`, w at least k: rows of `vectors`, each once; -1 for none.

    Returns
    -------
    indices : int64 `[q, k]`, -1 where fewer were proposed
    cosines : float32 `[q, k]`, -inf there
    """
    index, _ = proposed.sort(dim=1)
    cosines = _products(queries, vectors, index.clamp(min=0)).masked_fill_(index < 0, float("-inf"))
    cosines, order = torch.sort(cosines, dim=1, descending=True, stable=True)
    return index.gather(1, order[:, :k]), cosines[:, :k]


def _products(queries: Tensor, vectors: Tensor, index: Tensor) -> Tensor:
    """Multiply each query with its own items, index `[q, w]`, by a sampled product: no vector is copied."""
    q, width = index.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls sparse tensors beta at their first use
        wanted = torch.sparse_csr_tensor(
            torch.arange(q + 1) * width,
            index.reshape(-1),
            torch.zeros(q * width),
            size=(q, len(vectors)),
            check_invariants=False,
        )
        products: Tensor = torch.sparse.sampled_addmm(wanted, queries, vectors.T, beta=0.0).values()
    return products.view(q, width)

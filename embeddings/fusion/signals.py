"""What a gate looks at: a few numbers about the two windows of a user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embeddings.shares import Shares

Signals = NDArray[np.float32]

SIGNALS = (
    "recency",
    "long_size",
    "short_size",
    "long_entropy",
    "short_entropy",
    "agreement",
    "long_norm",
    "short_norm",
)
"""In the order of columns: log of 1 + days since the last event; log of 1 + different items and texts in a window;
entropy of their shares (natural logarithm); cosine of the two vectors; norms of the means, 1 where all events agree."""


def gate_signals(
    long: NDArray[np.float32],
    short: NDArray[np.float32],
    long_norm: NDArray[np.float64],
    short_norm: NDArray[np.float64],
    long_shares: Sequence[Shares],
    short_shares: Sequence[Shares],
    last_event: NDArray[np.float64],
) -> Signals:
    """Return the signals of users, float32 `[n, len(SIGNALS)]`.

    Parameters
    ----------
    long, short
        Unit vectors, `[n, d]`, zeros for users without.
    long_norm, short_norm
        Norms of the means, `[n]`, 0 for users without.
    long_shares, short_shares
        The shares of items, and of texts where there are any, in each window.
    last_event
        Days between the last event and `as_of`, `[n]`; infinite for users without an event, whose signals
        are finite and mean nothing.
    """
    sizes, entropies = [], []
    for shares in (long_shares, short_shares):
        size, entropy = np.zeros((2, len(long)))
        for part in shares:
            size += np.diff(part.starts)
            owner = np.repeat(np.arange(len(long)), np.diff(part.starts))
            share = part.share.astype(np.float64)
            entropy -= np.bincount(owner, share * np.log(np.maximum(share, 1e-30)), minlength=len(long))
        sizes.append(np.log1p(size))
        entropies.append(entropy)
    recency = np.log1p(np.where(np.isfinite(last_event), last_event, 0))
    agreement = np.vecdot(long, short)
    columns = [recency, *sizes, *entropies, agreement, long_norm, short_norm]
    return np.stack(columns, axis=1).astype(np.float32)

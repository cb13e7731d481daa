"""The fixed gate: everyone's long-term interest gets the same weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Below this the sum of two unit vectors has no direction left: they point opposite ways.
_NO_DIRECTION = 1e-6


def fuse(
    long: NDArray[np.float32],
    short: NDArray[np.float32],
    has_long: NDArray[np.bool_],
    has_short: NDArray[np.bool_],
    gate: ArrayLike,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Fuse unit vectors row by row: `gate * long + (1 - gate) * short`, made a unit vector.

    A user with one of the two gets that one (gate 1 or 0). Where the weighted sum has no direction (opposite
    vectors of equal weight) the short one wins (gate 0): it is what the user does now. So for every user with a vector,
    `fused * fused_norm` is the weighted sum at `gate_used`, and a cosine with `fused` splits exactly into both.

    Parameters
    ----------
    long, short
        Unit vectors, `[n, d]`; rows that `has_long` or `has_short` leaves out are ignored.
    has_long, has_short
        Which rows hold a vector, `[n]`.
    gate
        Weight of the long vector, 0 to 1: one for all, or `[n]`.

    Returns
    -------
    fused : float32, `[n, d]`
        Unit vectors; zero rows for users with neither.
    gate_used : float64, `[n]`
        The weight in effect; NaN for users with neither.
    fused_norm : float64, `[n]`
        Norm of the weighted sum; NaN for users with neither.

    Raises
    ------
    ValueError
        If a gate lies outside 0 to 1.
    """
    gates = np.broadcast_to(np.asarray(gate, dtype=np.float64), has_long.shape)
    if not ((gates >= 0) & (gates <= 1)).all():
        raise ValueError("a gate is a weight from 0 to 1: check the setting fusion_gate")
    fused = np.zeros_like(long, dtype=np.float32)
    used, norm = np.full((2, len(fused)), np.nan)
    for only, vectors, value in ((has_long & ~has_short, long, 1.0), (has_short & ~has_long, short, 0.0)):
        fused[only], used[only], norm[only] = vectors[only], value, 1.0
    both = np.flatnonzero(has_long & has_short)
    weight = gates[both].astype(np.float32)[:, None]
    summed = weight * long[both]
    summed += (1 - weight) * short[both]
    length = np.sqrt(np.vecdot(summed, summed), dtype=np.float64)
    opposite = length < _NO_DIRECTION
    summed[opposite], length[opposite] = short[both[opposite]], 1.0
    summed /= length.astype(np.float32)[:, None]
    fused[both], norm[both] = summed, length
    used[both] = np.where(opposite, 0.0, gates[both])
    return fused, used, norm

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
    used = np.where(has_short, np.where(has_long, gates, 0.0), 1.0)
    summed = _weighted(long, short, has_long, has_short, used)
    norm = np.linalg.norm(summed, axis=1)
    opposite = has_long & has_short & (norm < _NO_DIRECTION)
    if opposite.any():
        used = np.where(opposite, 0.0, used)
        summed = _weighted(long, short, has_long, has_short, used)
        norm = np.linalg.norm(summed, axis=1)
    some = has_long | has_short
    fused = np.divide(summed, norm[:, None], out=np.zeros_like(summed), where=some[:, None])
    return fused.astype(np.float32), np.where(some, used, np.nan), np.where(some, norm, np.nan)


def _weighted(
    long: NDArray[np.float32],
    short: NDArray[np.float32],
    has_long: NDArray[np.bool_],
    has_short: NDArray[np.bool_],
    gate: NDArray[np.float64],
) -> NDArray[np.float64]:
    long_weight = np.where(has_long, gate, 0.0)[:, None]
    short_weight = np.where(has_short, 1.0 - gate, 0.0)[:, None]
    summed: NDArray[np.float64] = long_weight * np.where(has_long[:, None], long, 0)
    summed += short_weight * np.where(has_short[:, None], short, 0)
    return summed

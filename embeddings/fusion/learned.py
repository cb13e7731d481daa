"""The learned gate: a weight for each user, from a few signals of the two windows, without torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Network(NamedTuple):
    """One hidden layer between signals and gate, all float32."""

    mean: NDArray[np.float32]
    """Of each signal over the examples, `[s]`."""
    scale: NDArray[np.float32]
    weight: NDArray[np.float32]
    """`[hidden, s]`"""
    bias: NDArray[np.float32]
    out_weight: NDArray[np.float32]
    """`[hidden]`"""
    out_bias: NDArray[np.float32]
    """`[1]`"""

    def gates(self, signals: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weight of the long vector for each row of signals, `[n]`, 0 to 1."""
        hidden = np.tanh((signals - self.mean) / self.scale @ self.weight.T + self.bias)
        logit = hidden @ self.out_weight + self.out_bias[0]
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30).astype(np.float64))))

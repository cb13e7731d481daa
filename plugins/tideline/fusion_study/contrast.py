"""Long against short, trained: the part of CLSR that has something to learn where the vectors are means.

CLSR (Zheng et al., WWW 2022) encodes both interests by networks and pulls each towards a proxy, the mean of the items
of its window, away from the proxy of the other. Here the vectors are those means, so the loss has nothing to move. What
can be learned is a scale for each direction of either vector, begun at 1: with the loss of the next items alone, or
with CLSR's four contrasts too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.examples import Examples

STEPS, RATE, SEED = 40, 0.03, 3
GATE = 0.5


def adapt(
    test: Examples, items: NDArray[np.float32], past: Sequence[tuple[Examples, NDArray[np.float32]]], share: float
) -> NDArray[np.float32]:
    """Return scores `[n, m]` of the test with scales learned on the past; `share` is the weight of the contrasts."""
    import torch
    from torch.nn.functional import log_softmax, softplus

    torch.manual_seed(SEED)
    scales = torch.nn.Parameter(torch.zeros(2, items.shape[1]))
    sharpness = torch.nn.Parameter(torch.tensor(2.5))
    optimiser = torch.optim.Adam([scales, sharpness], lr=RATE)
    parts = []
    for part, vectors in past:
        wanted = part.wanted & ~part.barred
        part = part.at(np.asarray(wanted.any(axis=1)))
        wanted = part.wanted & ~part.barred
        weight = (wanted / wanted.sum(axis=1, keepdims=True)).astype(np.float32)
        arrays = (part.long, part.short, part.weights(GATE)[:, None], vectors[part.item], weight, part.barred)
        parts.append([torch.from_numpy(np.ascontiguousarray(array)) for array in arrays])
    for _ in range(STEPS):
        optimiser.zero_grad()
        for long, short, gate, catalogue, weight, barred in parts:
            own, now = long * scales[0].exp(), short * scales[1].exp()
            logits = sharpness.exp() * (gate * own + (1 - gate) * now) @ catalogue.T
            loss = -(weight * log_softmax(logits.masked_fill(barred, -1e9), dim=1)).sum() / len(long)
            if share:
                pairs = ((own, long, short), (long, own, now), (now, short, long), (short, now, own))
                against = sum(softplus((one * other).sum(1) - (one * same).sum(1)).mean() for one, same, other in pairs)
                loss = loss + share * against
            loss.backward()
        optimiser.step()
    factors = scales.detach().exp().numpy()
    gate = test.weights(GATE)[:, None]
    fused = gate * test.long * factors[0] + (1 - gate) * test.short * factors[1]
    return np.asarray(fused @ items[test.item].T, dtype=np.float32)

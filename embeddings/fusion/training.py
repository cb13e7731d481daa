"""Training of the gate: which weight between the two windows foretells what users do next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.examples import Examples
from embeddings.fusion.learned import Network

HIDDEN = 8
STEPS = 120
LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.3
"""High, with a low rate: some hundred examples say little about a user, and a gate that trusts them too much loses."""
SEED = 11
GATES = tuple(round(0.1 * step, 1) for step in range(11))


def best_fixed_gate(examples: Sequence[Examples]) -> float:
    """Return the gate, the same for everybody, with the best mean NDCG@10: means over moments of means over users."""
    means = [np.mean([part.ndcg(part.scores(gate)).mean() for part in examples if len(part.user)]) for gate in GATES]
    return GATES[int(np.argmax(means))]


def train_network(examples: Sequence[Examples], start: float, seed: int = SEED) -> Network:
    """Fit a gate by the likelihood of the wanted items under a softmax over all that compete, each user counting once.

    One hidden layer; the gate begins at `start` for everybody, so that it has to earn every step away from it. The
    temperature of the softmax is learned. One thread and a fixed seed: the same examples give the same gate.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return _fit(examples, min(max(start, 0.05), 0.95))
    finally:
        torch.set_num_threads(threads)


def _fit(examples: Sequence[Examples], start: float) -> Network:
    import torch

    examples = [usable(part) for part in examples]
    signals = np.concatenate([part.signals for part in examples])
    mean, scale = signals.mean(axis=0), signals.std(axis=0)
    scale[scale < 1e-6] = 1
    first = torch.nn.Linear(signals.shape[1], HIDDEN)
    last = torch.nn.Linear(HIDDEN, 1)
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias.fill_(float(np.log(start / (1 - start))))
    sharpness = torch.nn.Parameter(torch.tensor(2.5))
    optimiser = torch.optim.AdamW(
        [
            {"params": [first.weight, last.weight], "weight_decay": WEIGHT_DECAY},
            {"params": [first.bias, last.bias, sharpness], "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE,
    )
    parts = []
    for part in examples:
        share = part.wanted / part.wanted.sum(axis=1, keepdims=True)
        columns = ((part.signals - mean) / scale, part.agreement[:, None], part.long_scores, part.short_scores)
        parts.append([torch.from_numpy(column.astype(np.float32)) for column in (*columns, share)])
        parts[-1].append(torch.from_numpy(part.barred))
    for _ in range(STEPS):
        optimiser.zero_grad()
        for inputs, agreement, long, short, share, barred in parts:
            gate = torch.sigmoid(last(torch.tanh(first(inputs))))
            norm = torch.sqrt((gate**2 + (1 - gate) ** 2 + 2 * gate * (1 - gate) * agreement).clamp(min=1e-6))
            logits = torch.exp(sharpness) * (gate * long + (1 - gate) * short) / norm
            likelihood = share * torch.log_softmax(logits.masked_fill(barred, -1e9), dim=1)
            (-likelihood.sum() / len(signals)).backward()
        optimiser.step()
    arrays: list[NDArray[np.float32]] = [mean, scale]
    arrays += [value.detach().numpy() for value in (first.weight, first.bias, last.weight[0], last.bias)]
    return Network(*(array.astype(np.float32) for array in arrays))


def usable(part: Examples) -> Examples:
    """Keep users with both windows and a wanted item among those that compete: only they say something of the gate."""
    part = part._replace(wanted=part.wanted & ~part.barred)
    return part.at(np.isnan(part.only) & part.wanted.any(axis=1))

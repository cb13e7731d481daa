"""Peers are tuned on an earlier cutoff, never on the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.evaluation.metrics import K, score_lists
from tideline.evaluation.peers import Peer, rank_items
from tideline.evaluation.peers.peer import Scorer
from tideline.evaluation.split import Indices, Mode, Split
from tideline.evaluation.vectors import RunVectors

MOST_USERS = 1000
"""Test users that a setting is tried on; of more, one out of every so many."""


@dataclass(frozen=True)
class Tuned:
    """The chosen settings of a peer for a mode."""

    settings: Mapping[str, Any]
    ndcg: float = float("nan")
    """NDCG@10 on the earlier cutoff; NaN if there was nothing to choose, or nothing to choose by."""

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.settings.items())


def tune(peer: Peer, split: Split, modes: Iterable[Mode], vectors: RunVectors | None) -> dict[Mode, Tuned]:
    """Try every combination of a peer's grid on a split; return the best by NDCG@10 for each mode, the first of equals.

    A peer with one combination, or that cannot be tried, gets its first.
    """
    choices = peer.choices()
    best = {mode: Tuned(choices[0]) for mode in modes}
    users = tuning_users(split, modes)
    if len(choices) == 1 or not any(part.size for part in users.values()) or (peer.needs_vectors and vectors is None):
        return best
    for settings in choices:
        scorer = fit(peer, split, settings, vectors)
        for mode, some in users.items():
            if some.size and not (mode == "new" and peer.repeats_only):
                best[mode] = better(best[mode], settings, lists_of(scorer, some, split, mode), some, split, mode)
    return best


def better(
    best: Tuned, settings: Mapping[str, Any], lists: Indices, users: Indices, split: Split, mode: Mode
) -> Tuned:
    """Return the settings that made the lists if they beat the best so far, else the best."""
    ndcg = float(score_some(lists, users, split, mode)["ndcg"].mean())
    return best if ndcg <= best.ndcg else Tuned(settings, ndcg)


def tuning_users(split: Split, modes: Iterable[Mode]) -> dict[Mode, Indices]:
    """Return the test users of each mode, or some of many."""
    users = {mode: split.test_users(mode) for mode in modes}
    return {mode: part[:: max(1, -(-part.size // MOST_USERS))] for mode, part in users.items()}


def fit(peer: Peer, split: Split, settings: Mapping[str, Any], vectors: RunVectors | None) -> Scorer:
    """Let a peer learn from the history of a split."""
    given = (split.history, vectors) if peer.needs_vectors else (split.history,)
    return peer.fit(*given, **settings)


def lists_of(scorer: Scorer, users: Indices, split: Split, mode: Mode, k: int = K) -> Indices:
    """Return the lists `[users, k]` of a fitted peer; in mode `new` without what a user has had."""
    return rank_items(scorer, users, k, split.history.pairs if mode == "new" else None)


def score_some(lists: Indices, users: Indices, split: Split, mode: Mode) -> dict[str, NDArray[np.float64]]:
    """Score the lists of some of the test users of a split."""
    user, item = split.wanted(mode)
    asked = np.isin(user, users)
    return score_lists(lists, users, user[asked], item[asked], split.history.items)


def distinct(tuned: Mapping[Mode, Tuned]) -> Sequence[tuple[Mapping[str, Any], list[Mode]]]:
    """Group modes by equal settings: each group needs one fit."""
    groups: list[tuple[Mapping[str, Any], list[Mode]]] = []
    for mode, choice in tuned.items():
        for settings, members in groups:
            if settings == choice.settings:
                members.append(mode)
                break
        else:
            groups.append((choice.settings, [mode]))
    return groups

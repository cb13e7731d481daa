"""Every model at every cutoff: peers are tuned, fitted and scored beside what Tideline published."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.evaluation.metrics import K, Scores, coverage, describe_lists, score_lists
from tideline.evaluation.outside import GRID, NAME, find_interpreter, sasrec_lists
from tideline.evaluation.peers import PEERS
from tideline.evaluation.peers.text import LEARNED_GATE
from tideline.evaluation.segments import NEW_ITEMS, user_segments, wanted_new_items
from tideline.evaluation.split import Indices, Mode, Split
from tideline.evaluation.tuning import Tuned, better, distinct, fit, lists_of, tune, tuning_users
from tideline.evaluation.vectors import RunVectors

MODEL = "tideline"


@dataclass(frozen=True)
class Ground:
    """One cutoff: the split and what the real runs left."""

    split: Split
    vectors: RunVectors | None
    published: Mapping[Mode, pa.Table]
    """`user_id`, `rank`, `item_id`; empty for the tuning cutoff."""
    short_window_days: float


@dataclass
class Place:
    """One cutoff and mode with the scores of every model, `[users]` each."""

    cutoff: datetime
    mode: Mode
    user_id: pa.Array
    segments: dict[str, NDArray[np.bool_]]
    scores: dict[str, Scores] = field(default_factory=dict)
    """By model: `ndcg`, `recall`, `hit_rate`, `novelty`, `diversity`, and `new_items`: NDCG where only new items are
    wanted, NaN for users who want none."""
    coverage: dict[str, float] = field(default_factory=dict)


Chosen = dict[str, dict[Mode, Tuned]]
Seconds = dict[str, float]


def compete(
    tuning: Ground, tests: Sequence[Ground], modes: Sequence[Mode], *, slow: bool
) -> tuple[list[Place], Chosen, Seconds]:
    """Tune every peer on one cutoff and score it, and what was published, on the others.

    Parameters
    ----------
    slow
        Also ask SASRec, in its own environment.

    Returns
    -------
    tuple
        Scores by cutoff and mode, the chosen settings by peer and mode, and seconds by peer, tuning included.
    """
    places = {(ground.split.cutoff, mode): _place(ground, mode) for ground in tests for mode in modes}
    for ground in tests:
        for mode, table in ground.published.items():
            place = places[ground.split.cutoff, mode]
            _enter(place, MODEL, ground.split.to_lists(table, ground.split.test_users(mode), K), ground)
    chosen: Chosen = {}
    seconds: Seconds = {}
    for peer in PEERS:
        if peer.needs_vectors and any(ground.vectors is None for ground in tests):
            continue
        if peer.name == LEARNED_GATE and not all(ground.vectors.gate_is_learned for ground in tests if ground.vectors):
            continue
        started = time.perf_counter()
        fitting: list[Mode] = [mode for mode in modes if not (peer.repeats_only and mode == "new")]
        chosen[peer.name] = tune(peer, tuning.split, fitting, tuning.vectors)
        for ground in tests:
            for settings, members in distinct(chosen[peer.name]):
                scorer = fit(peer, ground.split, settings, ground.vectors)
                for mode in members:
                    lists = lists_of(scorer, ground.split.test_users(mode), ground.split, mode)
                    _enter(places[ground.split.cutoff, mode], peer.name, lists, ground)
        seconds[peer.name] = time.perf_counter() - started
    if slow:
        started = time.perf_counter()
        chosen[NAME] = _ask_sasrec(tuning, tests, modes, places)
        seconds[NAME] = time.perf_counter() - started
    return list(places.values()), chosen, seconds


def _ask_sasrec(
    tuning: Ground, tests: Sequence[Ground], modes: Sequence[Mode], places: Mapping[tuple[datetime, Mode], Place]
) -> dict[Mode, Tuned]:
    python = find_interpreter()
    users = tuning_users(tuning.split, modes)
    best = {mode: Tuned(GRID[0]) for mode in modes}
    tried: Sequence[Mapping[str, Any]] = GRID if any(part.size for part in users.values()) else ()
    for settings in tried:
        for mode, lists in sasrec_lists(python, tuning.split, settings, users).items():
            if users[mode].size:
                best[mode] = better(best[mode], settings, lists, users[mode], tuning.split, mode)
    for ground in tests:
        for settings, members in distinct(best):
            asked = {mode: ground.split.test_users(mode) for mode in members}
            for mode, lists in sasrec_lists(python, ground.split, settings, asked).items():
                _enter(places[ground.split.cutoff, mode], NAME, lists, ground)
    return best


def _place(ground: Ground, mode: Mode) -> Place:
    users = ground.split.test_users(mode)
    segments = user_segments(ground.split, users, ground.short_window_days)
    return Place(ground.split.cutoff, mode, ground.split.user_id.take(pa.array(users)), segments)


def _enter(place: Place, model: str, lists: Indices, ground: Ground) -> None:
    split = ground.split
    users, items = split.test_users(place.mode), split.history.items
    place.scores[model] = {
        **score_lists(lists, users, *split.wanted(place.mode), items),
        **describe_lists(lists, split.history, ground.vectors.text if ground.vectors else None),
        NEW_ITEMS: np.full(users.size, np.nan),
    }
    place.coverage[model] = coverage(lists, int((np.bincount(split.history.item, minlength=items) > 0).sum()))
    wanted_user, wanted_item = wanted_new_items(split, place.mode)
    asking = np.isin(users, wanted_user)
    if asking.any():
        found = score_lists(lists[asking], users[asking], wanted_user, wanted_item, items)
        place.scores[model][NEW_ITEMS][asking] = found["ndcg"]

"""The champion gate: a better challenger replaces, an equal one does not, and only unseen days count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training.worlds import world

from tideline.ranking.learned import Plan, Trained, train
from tideline.ranking.learned.lists import Lists
from tideline.ranking.learned.model import Model, single
from tideline.training.judging import Bench, Rival, chosen_elsewhere, decide, fallback_rival

NAMES = ("tifu.share", "popular_28d.share", "popular_decayed.share")
PLAN = Plan(depth=15, cutoffs=6, rounds=30, threads=1, held_lists=120)


def lists_of(quality: np.ndarray, cutoff: np.ndarray, seed: int = 1) -> Lists:
    """Lists of five candidates, one taken: `tifu` puts it first in a share `quality` of them, `popular_28d` in half."""
    random = np.random.default_rng(seed)
    label = np.zeros((cutoff.size, 5), dtype=np.float32)
    label[np.arange(cutoff.size), random.integers(0, 5, cutoff.size)] = 1
    features = random.random((cutoff.size, 5, len(NAMES))).astype(np.float32)
    for column, share in ((0, quality), (1, np.full(cutoff.size, 0.5))):
        right = random.random(cutoff.size) < share
        features[:, :, column] += np.where(right[:, None], label, -label) * 2
    return Lists(
        features.reshape(-1, len(NAMES)),
        label.ravel(),
        np.repeat(np.arange(cutoff.size), 5),
        np.ones(cutoff.size, dtype=np.int64),
        cutoff,
        NAMES,
    )


def judged(held: Lists, contender: Model, rival: Rival) -> Bench:
    bench = Bench(rival)
    reached = {contender.name: held.ndcg(contender.score(held.features, held.names))}
    bench("repeats", held, reached, np.ones(held.size))
    return bench


def learned() -> Trained:
    """Something that was learned: how it is judged does not depend on what."""
    card = {"modes": {"repeats": {"winner": "tifu", "importance": {}}}}
    return Trained({"repeats": single("tifu"), "new": single("tifu")}, "popular_28d", True, PLAN, card)


def champion(model: Model, unseen_days: float = 7.0) -> Rival:
    return Rival({"repeats": model, "new": model}, unseen_days, "model-000000000000")


def test_a_better_challenger_replaces_and_a_worse_one_does_not() -> None:
    held = lists_of(np.full(200, 0.9), np.full(200, 7.0))
    better = decide(learned(), judged(held, single("tifu"), champion(single("popular_28d"))))
    worse = decide(learned(), judged(held, single("popular_28d"), champion(single("tifu"))))
    assert better.promoted and better.reason.startswith("better than model-000000000000: repeats NDCG@10")
    assert better.compared["repeats"].difference.low > 0
    assert not worse.promoted and worse.reason.startswith("worse than model-000000000000, which stays")


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_an_equal_challenger_never_replaces(seed: int) -> None:
    held = lists_of(np.full(100, 0.7), np.full(100, 7.0), seed)
    decision = decide(learned(), judged(held, single("tifu"), champion(single("tifu"))))
    assert decision.compared["repeats"].difference.value == 0
    assert not decision.promoted and "beyond noise" in decision.reason


@settings(max_examples=20)
@given(st.floats(0, 1), st.integers(0, 10_000))
def test_days_that_the_champion_has_learned_from_do_not_count(seen: float, seed: int) -> None:
    cutoff = np.repeat([7.0, 14.0], 60)
    held = lists_of(np.where(cutoff > 7, seen, 0.9), cutoff, seed)
    both = judged(held, single("tifu"), champion(single("popular_28d")))
    unseen = judged(held.some(cutoff == 7.0), single("tifu"), champion(single("popular_28d")))
    assert both.compared == unseen.compared and both.compared["repeats"].lists == 60


def test_without_unseen_days_the_champion_stays() -> None:
    held = lists_of(np.full(200, 0.9), np.full(200, 7.0))
    decision = decide(learned(), judged(held, single("tifu"), champion(single("popular_28d"), unseen_days=3.0)))
    assert not decision.promoted and "too few lists in the 3 days" in decision.reason


@pytest.mark.parametrize(
    "model", [Model("trees", features=NAMES[:2], booster="tree"), Model("blend", linear={"gone.share": 1.0})]
)
def test_a_champion_with_other_features_is_replaced_and_the_reason_says_so(model: Model) -> None:
    held = lists_of(np.full(200, 0.1), np.full(200, 7.0))
    decision = decide(learned(), judged(held, single("tifu"), champion(model)))
    assert decision.promoted and "trained with other features" in decision.reason


def test_a_first_version_must_not_be_below_the_fixed_blend() -> None:
    held = lists_of(np.full(200, 0.9), np.full(200, 7.0))
    good = decide(learned(), judged(held, single("tifu"), fallback_rival()))
    bad = decide(learned(), judged(held, single("popular_28d"), fallback_rival()))
    assert good.promoted and good.against is None and good.reason.startswith("first version, not below untrained-1")
    assert not bad.promoted


def test_too_little_to_learn_from_promotes_nothing_and_says_why() -> None:
    bench = Bench(fallback_rival())
    decision = decide(train(world(users=5), PLAN, bench), bench)
    assert not decision.promoted
    assert (
        "lists are too few to judge by: untrained-1 ranks" in decision.reason and "untrained-1 stays" in decision.reason
    )


def test_of_many_equal_contenders_none_wins_by_luck() -> None:
    random = np.random.default_rng(2)
    reached = random.random((30, 40))
    best = (reached @ np.ones(40)).max() / 40
    honest = chosen_elsewhere({str(place): values for place, values in enumerate(reached)}, np.ones(40)).mean()
    assert abs(honest - 0.5) < best - 0.5


def test_a_trained_challenger_beats_popularity_and_not_last_weeks_self() -> None:
    past = world(users=60)
    plan = replace(PLAN, held_lists=60)
    earlier = train(past.before(7.0), plan)
    popular = {mode: single("popular_28d") for mode in earlier.models}
    for models, promoted in ((popular, True), (earlier.models, False)):
        bench = Bench(Rival(models, 7.0, "model-000000000000"))
        decision = decide(train(past, plan, bench), bench)
        assert decision.promoted is promoted, decision.reason

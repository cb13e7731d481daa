"""Who ranks where lists are many, and where they are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.ranking.learned.blend import fit_blend
from tideline.ranking.learned.lists import Lists
from tideline.ranking.learned.winner import choose_winner


def test_luck_on_few_lists_does_not_beat_the_blend() -> None:
    random = np.random.default_rng(5)
    chosen = []
    for _ in range(200):
        # NDCG of few lists is mostly 0 with some hits; all contenders are equally good.
        reached = {
            name: random.random(40) * (random.random(40) < 0.15) for name in ("ease", "popular_28d", "own", "blend")
        }
        chosen.append(choose_winner(reached, np.ones(40)))
    assert np.mean([name == "blend" for name in chosen]) > 0.9


@given(st.integers(0, 1000))
def test_a_source_that_is_clearly_better_ranks(seed: int) -> None:
    random = np.random.default_rng(seed)
    blend = random.random(40) * 0.5
    assert choose_winner({"tifu": blend + 0.2 + 0.1 * random.random(40), "blend": blend}, np.ones(40)) == "tifu"


@given(st.integers(0, 1000), st.sampled_from([("blend", "trees", "tifu"), ("popular_28d", "tifu")]))
def test_with_trees_or_without_a_blend_the_best_mean_wins(seed: int, names: tuple[str, ...]) -> None:
    random = np.random.default_rng(seed)
    weights = random.random(30) + 0.1
    reached = {name: random.random(30) for name in names}
    best = max(names, key=lambda name: float(np.average(reached[name], weights=weights)))
    assert choose_winner(reached, weights) == best


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 60))
def test_of_few_lists_a_blend_learns_less_than_of_the_same_many_times(seed: int, size: int) -> None:
    few, many = (lists(seed, size, times) for times in (1, 40))
    own, sure = (np.linalg.norm([*fit_blend(each).values(), 0.0]) for each in (few, many))
    assert own <= sure + 1e-6


def lists(seed: int, size: int, times: int) -> Lists:
    """Lists of six candidates whose first source puts what was taken first more often than not, repeated."""
    random = np.random.default_rng(seed)
    label = np.zeros((size, 6), dtype=np.float32)
    label[np.arange(size), random.integers(0, 6, size)] = 1
    shares = random.random((size, 6, 4)).astype(np.float32)
    shares[:, :, 0] = np.maximum(shares[:, :, 0], label * random.choice([0, 1], (size, 1), p=[0.3, 0.7]))
    return Lists(
        np.tile(shares.reshape(-1, 4), (times, 1)),
        np.tile(label.ravel(), times),
        np.repeat(np.arange(size * times), 6),
        np.ones(size * times, dtype=np.int64),
        np.full(size * times, 7.0),
        ("tifu.share", "ease.share", "popular.share", "own.share"),
    )


def test_a_blend_finds_the_source_that_is_right() -> None:
    weights = fit_blend(lists(3, 400, 1))
    assert max(weights, key=lambda name: weights[name]) == "tifu.share"
    assert weights["tifu.share"] == pytest.approx(sum(weights.values()), rel=0.5)

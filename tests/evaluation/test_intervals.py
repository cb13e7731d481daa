"""Intervals cover, differences are paired, and means are over users, then over cutoffs."""

from __future__ import annotations

import numpy as np
import pytest

from tideline.evaluation.intervals import Bootstrap, estimate


def test_means_are_over_users_then_over_cutoffs():
    bootstrap = Bootstrap([np.array([0, 1]), np.array([1, 2, 3])])
    value, drawn = bootstrap.means([np.array([[1.0], [0.0]]), np.array([[0.0], [0.0], [np.nan]])])
    assert value == pytest.approx([(0.5 + 0.0) / 2])
    assert drawn.shape == (1000, 1)
    assert bootstrap.value([np.array([[1.0], [0.0]]), np.array([[0.0], [0.0], [np.nan]])]) == pytest.approx(value)


def test_a_cutoff_that_nobody_is_left_of_does_not_count():
    nobody = np.full((2, 1), np.nan)
    value, _ = Bootstrap([np.array([0, 1]), np.array([0, 1])]).means([nobody, np.array([[1.0], [0.5]])])
    assert value == pytest.approx([0.75])
    value, drawn = Bootstrap([np.array([0, 1])]).means([nobody])
    assert np.isnan(value).all() and np.isnan(estimate(float(value[0]), drawn[:, 0]).low)


def test_the_interval_is_that_of_the_normal_where_there_are_many():
    scores = np.random.default_rng(3).random(2000)
    value, drawn = Bootstrap([np.arange(2000)]).means([scores[:, None]])
    found = estimate(float(value[0]), drawn[:, 0])
    error = scores.std() / np.sqrt(scores.size)
    assert found.low == pytest.approx(scores.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(scores.mean() + 1.96 * error, abs=0.2 * error)


def test_a_constant_lead_is_sure_however_users_vary():
    scores = np.random.default_rng(4).random(50)
    _, drawn = Bootstrap([np.arange(50)]).means([np.stack([scores + 0.01, scores], axis=1)])
    gap = estimate(0.01, drawn[:, 0] - drawn[:, 1])
    assert (gap.low, gap.high) == pytest.approx((0.01, 0.01))


def test_a_user_of_two_cutoffs_is_drawn_for_both():
    # One cutoff seen twice knows no more than once: independent draws would make the interval narrower.
    scores = np.random.default_rng(5).random((40, 1))
    people = np.arange(40)
    once = Bootstrap([people]).means([scores])[1]
    twice = Bootstrap([people, people]).means([scores, scores])[1]
    assert twice == pytest.approx(once)

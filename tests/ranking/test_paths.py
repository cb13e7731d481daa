"""Parts of a tree's score: they sum to it, and a split counts for the feature that it asks."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from tideline.ranking.learned.paths import read_paths


def grow(matrix: np.ndarray, label: np.ndarray, rounds: int) -> lightgbm.Booster:
    settings = {"objective": "regression", "min_data_in_leaf": 5, "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(matrix, label), num_boost_round=rounds)


@pytest.mark.parametrize("rounds", [1, 30])
def test_parts_sum_to_the_score(rounds: int) -> None:
    random = np.random.default_rng(rounds)
    matrix = random.normal(size=(400, 4))
    matrix[::7, 1] = np.nan
    booster = grow(matrix, matrix[:, 0] * 2 + np.nan_to_num(matrix[:, 1]) ** 2, rounds)
    paths = read_paths(booster, ["own", "trend", "own", "user"])
    assert paths.groups == ("own", "trend", "user")
    parts = paths.divide(booster.predict(matrix, pred_leaf=True).reshape(400, -1))
    np.testing.assert_allclose(paths.base + sum(parts.values()), booster.predict(matrix, raw_score=True), atol=1e-12)


def test_a_split_counts_for_the_feature_that_it_asks() -> None:
    matrix = np.repeat(np.array([[0.0, 5.0], [1.0, 5.0]]), 50, axis=0)
    booster = grow(matrix, matrix[:, 0], 1)
    paths = read_paths(booster, ["asked", "silent"])
    parts = paths.divide(booster.predict(matrix, pred_leaf=True).reshape(100, -1))
    assert paths.base == pytest.approx(0.5)
    assert (parts["silent"] == 0).all()
    low, high = parts["asked"][0], parts["asked"][-1]
    assert low < 0 < high
    assert low == pytest.approx(-high)


def test_trees_without_a_split_are_all_base() -> None:
    booster = grow(np.zeros((50, 2)), np.ones(50), 3)
    paths = read_paths(booster, ["one", "two"])
    leaves = booster.predict(np.zeros((2, 2)), pred_leaf=True).reshape(2, -1)
    np.testing.assert_allclose(
        paths.base + sum(paths.divide(leaves).values()), booster.predict(np.zeros((2, 2)), raw_score=True)
    )

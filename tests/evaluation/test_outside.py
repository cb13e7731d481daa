"""SASRec in its own environment: Parquet goes in and comes out."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation.arrays import split_of

from tideline.evaluation import outside
from tideline.evaluation.outside import OutsideError, find_interpreter, sasrec_lists
from tideline.evaluation.tuning import score_some


@pytest.fixture(scope="module")
def python():
    try:
        return find_interpreter()
    except OutsideError as missing:
        pytest.skip(str(missing))


@pytest.mark.slow
def test_sasrec_learns_what_comes_next(python):
    # Everybody walks the same circle of items from another start; the next one on it is what comes.
    circle = [f"i{n:02}" for n in range(30)]
    rows = [(f"u{user:03}", circle[(user + step) % 30], step - 9) for user in range(240) for step in range(8)]
    rows += [(f"u{user:03}", circle[(user + 8) % 30], 1) for user in range(240)]
    split = split_of(rows)
    users = {"new": split.test_users("new"), "repeats": split.test_users("repeats")[:7]}
    lists = sasrec_lists(python, split, {"epochs": 50, "factors": 32}, users, k=3)
    assert lists["new"].shape == (240, 3) and lists["repeats"].shape == (7, 3)
    # Three of 22 items by chance: .14.
    assert score_some(lists["new"], users["new"], split, "new")["hit_rate"].mean() > 0.5
    known = split.history.pairs
    assert not any(
        known[user, item] for user, row in zip(users["new"], lists["new"], strict=True) for item in row[row >= 0]
    )


@pytest.mark.slow
def test_a_program_that_fails_says_why(python):
    split = split_of([("ann", "a", -1), ("ann", "b", 1)])
    with pytest.raises(OutsideError, match="sasrec"):
        sasrec_lists(python, split, {"factors": 32}, {"new": np.array([0])})


def test_a_missing_environment_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(outside, "REPOSITORY", tmp_path)
    with pytest.raises(OutsideError, match="make evaluate PEERS=all"):
        find_interpreter()

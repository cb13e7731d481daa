"""Metrics against cases computed by hand, and their laws."""

from __future__ import annotations

from math import log2

import numpy as np
import pyarrow as pa
import pytest
from evaluation.arrays import split_of
from hypothesis import given
from hypothesis import strategies as st

from tideline.evaluation.metrics import coverage, describe_lists, score_lists

WANTED = {"ann": "bdz", "bob": "a", "cid": "a", "eve": "ab"}
SHOWN = {"ann": "abcde", "bob": "xyz", "dan": "a", "eve": "pqab"}


def table(shown):
    rows = [(user, rank, item) for user, items in shown.items() for rank, item in enumerate(items, start=1)]
    return pa.table(dict(zip(("user_id", "rank", "item_id"), map(list, zip(*rows, strict=True)), strict=True)))


def test_by_hand():
    history = [(user, "h", -1) for user in ("ann", "bob", "cid", "dan", "eve")]
    later = [(user, item, 1) for user, items in WANTED.items() for item in items]
    split = split_of([*history, *later], more_items=pa.array(list("abcdepqxyz")))
    users = split.test_users("repeats")
    lists = split.to_lists(table(SHOWN), users, depth=5)
    scores = score_lists(lists, users, *split.wanted("repeats"), split.history.items, k=3)
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    # ann: b at rank 2 counts, d at rank 4 is past k; three wanted, so the ideal fills all places; cid has no list.
    assert scores["ndcg"] == pytest.approx([(1 / log2(3)) / ideal, 0, 0, (1 / log2(4)) / (1 + 1 / log2(3))])
    assert scores["recall"] == pytest.approx([1 / 3, 0, 0, 1 / 2])
    assert scores["hit_rate"].tolist() == [1, 0, 0, 1]


ITEMS = "abcdefgh"
lists = st.lists(st.integers(0, 7), unique=True, max_size=8)


@given(shown=lists, wanted=lists.filter(bool), k=st.integers(1, 10))
def test_laws(shown, wanted, k):
    def one(shown):
        padded = np.array([shown + [-1] * (10 - len(shown))])
        user = np.zeros(len(wanted), dtype=np.int64)
        found = score_lists(padded, np.array([0]), user, np.sort(wanted), len(ITEMS), k)
        return {name: float(values[0]) for name, values in found.items()}

    scores = one(shown)
    assert all(0 <= value <= 1 + 1e-12 for value in scores.values())
    assert one(sorted(wanted) + [item for item in shown if item not in wanted])["ndcg"] == pytest.approx(1)
    assert scores["hit_rate"] == float(scores["recall"] > 0) == float(scores["ndcg"] > 0)
    # What stands past k changes nothing.
    assert one(shown[:k]) == scores
    # Moving a wanted item up never lowers ndcg.
    for place in range(1, len(shown)):
        if shown[place] in wanted and shown[place - 1] not in wanted:
            moved = [*shown[: place - 1], shown[place], shown[place - 1], *shown[place + 1 :]]
            assert one(moved)["ndcg"] >= scores["ndcg"]


def test_novelty_diversity_and_coverage_by_hand():
    split = split_of([("ann", "a", -1), ("bob", "a", -1), ("cid", "b", -1), ("cid", "c", -1)])
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    shown = np.array([[0, 1, 2], [1, -1, -1], [-1, -1, -1]])
    found = describe_lists(shown, split.history, vectors)
    had_by_two, had_by_one = -np.log2(3 / 4), -np.log2(2 / 4)
    assert found["novelty"][:2] == pytest.approx([(had_by_two + 2 * had_by_one) / 3, had_by_one])
    assert found["diversity"][0] == pytest.approx(1 - (0 + 0.6 + 0.8) / 3)
    assert np.isnan(found["novelty"][2]) and np.isnan(found["diversity"][1:]).all()
    assert coverage(shown[1:], 3) == pytest.approx(1 / 3)
    assert "diversity" not in describe_lists(shown, split.history, None)

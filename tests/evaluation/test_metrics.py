"""Metrics against cases computed by hand, and their laws."""

from __future__ import annotations

from math import log2

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.evaluation.metrics import evaluate, score_users


def lists(**by_user):
    rows = [(user, rank, item) for user, items in by_user.items() for rank, item in enumerate(items, start=1)]
    return pa.table(
        {
            "user_id": pa.array([row[0] for row in rows], pa.string()),
            "rank": pa.array([row[1] for row in rows], pa.int32()),
            "item_id": pa.array([row[2] for row in rows], pa.string()),
        }
    )


def relevant(**by_user):
    rows = [(user, item) for user, items in by_user.items() for item in items]
    return pa.table(
        {"user_id": pa.array([r[0] for r in rows], pa.string()), "item_id": pa.array([r[1] for r in rows], pa.string())}
    )


def test_by_hand():
    scores = score_users(
        lists(ann="abcde", bob="xyz", dan="a", eve="pqab"), relevant(ann="bdz", bob="a", cid="a", eve="ab"), k=3
    ).to_pylist()
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert scores == [
        # ann: b at rank 2 counts, d at rank 4 is past k; three relevant, so the ideal fills all three places
        {
            "user_id": "ann",
            "ndcg": pytest.approx((1 / log2(3)) / ideal),
            "recall": pytest.approx(1 / 3),
            "hit_rate": 1.0,
        },
        {"user_id": "bob", "ndcg": 0.0, "recall": 0.0, "hit_rate": 0.0},
        # cid has no list
        {"user_id": "cid", "ndcg": 0.0, "recall": 0.0, "hit_rate": 0.0},
        {
            "user_id": "eve",
            "ndcg": pytest.approx((1 / log2(4)) / (1 + 1 / log2(3))),
            "recall": pytest.approx(1 / 2),
            "hit_rate": 1.0,
        },
    ]


def test_means_are_over_the_users_of_the_test():
    means = evaluate(lists(ann="a", bob="b", zoe="c"), relevant(ann="a", bob="x"), k=10)
    assert means == {"ndcg": 0.5, "recall": 0.5, "hit_rate": 0.5, "users": 2}


def test_no_users_is_not_a_zero():
    means = evaluate(lists(ann="a"), relevant(), k=10)
    assert means["users"] == 0 and means["ndcg"] != means["ndcg"]


@pytest.mark.parametrize("ranks", [[1, 1], [1, 2]])
def test_a_doubled_row_is_refused(ranks):
    table = pa.table({"user_id": ["ann", "ann"], "rank": ranks, "item_id": ["a", "b" if ranks == [1, 1] else "a"]})
    with pytest.raises(ValueError, match="1 items or ranks occur twice"):
        score_users(table, relevant(ann="a"))


items = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(shown=items, wanted=items.filter(bool), k=st.integers(1, 10))
def test_laws(shown, wanted, k):
    def one(shown):
        (scores,) = score_users(lists(u=shown), relevant(u=wanted), k).to_pylist()
        return scores

    scores = one(shown)
    assert all(0 <= scores[name] <= 1 + 1e-12 for name in ("ndcg", "recall", "hit_rate"))
    best = sorted(wanted) + [item for item in shown if item not in wanted]
    assert one(best)["ndcg"] == pytest.approx(1)
    assert scores["hit_rate"] == float(scores["recall"] > 0) == float(scores["ndcg"] > 0)
    # What stands past k changes nothing.
    assert one(shown[:k]) == scores
    # Moving a relevant item up never lowers ndcg.
    for place in range(1, len(shown)):
        if shown[place] in wanted and shown[place - 1] not in wanted:
            moved = [*shown[: place - 1], shown[place], shown[place - 1], *shown[place + 1 :]]
            assert one(moved)["ndcg"] >= scores["ndcg"]

"""The time split keeps the future out of the history."""

from __future__ import annotations

from datetime import UTC

import numpy as np
import pyarrow as pa
import pytest
from evaluation.arrays import CUTOFF, events, split_of
from hypothesis import given
from hypothesis import strategies as st

from tideline.evaluation.split import split_at


def pairs(split, user, item):
    return [(split.user_id[int(u)].as_py(), split.item_id[int(i)].as_py()) for u, i in zip(user, item, strict=True)]


def test_by_hand():
    rows = [("ann", "a", -1), ("bob", "a", -2), ("ann", "a", 0), ("ann", "b", 0.99), ("ann", "c", 1), ("new", "a", 0.5)]
    split = split_of([*rows, ("ann", "b", 0.1)], 1)
    assert split.user_id.to_pylist() == ["ann", "bob"] and split.item_id.to_pylist() == ["a", "b"]
    assert pairs(split, *split.wanted("repeats")) == [("ann", "a"), ("ann", "b")]
    assert pairs(split, *split.wanted("new")) == [("ann", "b")]
    assert split.history.age.tolist() == [2.0, 1.0]
    assert split.history.matrix().toarray().tolist() == [[1, 0], [1, 0]]


def test_what_was_taken_back_by_the_end_of_the_horizon_is_not_wanted():
    known = events([("ann", "a", -1), ("ann", "b", -1)])
    later = events([("ann", "a", -1), ("ann", "c", 2)])
    split = split_at(known, later, CUTOFF.replace(tzinfo=UTC), 7)
    assert split.cutoff == CUTOFF
    # b was taken back after the cutoff: it is history, as it was known then, and not wanted.
    assert pairs(split, split.history.user, split.history.item) == [("ann", "a"), ("ann", "b")]
    assert pairs(split, *split.wanted("repeats")) == [("ann", "c")]


@given(
    rows=st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(-50, 50)), min_size=1),
    days=st.integers(1, 48),
)
def test_laws(rows, days):
    split = split_of(rows, days)
    before = {(user, item) for user, item, at in rows if at < 0}
    known = {user for user, _ in before}
    after = {(user, item) for user, item, at in rows if 0 <= at < days and user in known}
    history = split.history
    assert history.user.size == sum(at < 0 for _, _, at in rows)
    assert set(pairs(split, history.user, history.item)) == before
    assert (history.age > 0).all() and (np.diff(history.age) <= 0).all()
    assert pairs(split, *split.wanted("repeats")) == sorted(after, key=lambda pair: order(split, pair))
    assert set(pairs(split, *split.wanted("new"))) == after - before
    assert history.pairs.sum() == len(before)


def order(split, pair):
    return split.user_id.to_pylist().index(pair[0]), split.item_id.to_pylist().index(pair[1])


def test_lists_of_a_table():
    split = split_of([("ann", "a", -1), ("bob", "b", -1)], more_items=pa.array(["z"]))
    table = pa.table({"user_id": ["bob", "ann", "ann", "eve"], "rank": [1, 3, 1, 1], "item_id": ["z", "a", "b", "a"]})
    lists = split.to_lists(table, np.array([0, 1]), 3)
    assert [[split.item_id[int(i)].as_py() if i >= 0 else None for i in row] for row in lists] == [
        ["b", None, "a"],
        ["z", None, None],
    ]
    with pytest.raises(ValueError, match="1 recommended items are not numbered"):
        split_of([("bob", "b", -1)]).to_lists(table, np.array([0]), 3)


@pytest.mark.parametrize("ranks", [[1, 1], [1, 2]])
def test_a_doubled_row_is_refused(ranks):
    split = split_of([("ann", "a", -1), ("ann", "b", -1)])
    items = ["a", "b" if ranks == [1, 1] else "a"]
    table = pa.table({"user_id": ["ann", "ann"], "rank": ranks, "item_id": items})
    with pytest.raises(ValueError, match="1 items or ranks occur twice"):
        split.to_lists(table, np.array([0]), 10)


def test_a_horizon_of_nothing_is_refused():
    with pytest.raises(ValueError, match="more than 0 days"):
        split_of([("ann", "a", -1)], 0)

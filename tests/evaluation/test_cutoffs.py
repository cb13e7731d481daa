"""Cutoffs are chosen by a rule that sees events, no score."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from evaluation.arrays import CUTOFF, events
from hypothesis import given
from hypothesis import strategies as st

from tideline.evaluation.cutoffs import choose_cutoffs, count_test_users, given_cutoffs

END = CUTOFF


def weeks(*counts):
    """Everybody has an event long ago; in the n-th week before the end so many of them have one."""
    people = [(f"u{n:03}", "a", -400) for n in range(max(counts))]
    return events(
        people + [(f"u{n:03}", "b", -7 * week - 3) for week, count in enumerate(counts) for n in range(count)]
    )


def back(*horizons):
    return tuple(END - timedelta(days=7 * n) for n in horizons)


def test_the_last_four_with_enough_users_and_the_one_before_for_tuning():
    plan = choose_cutoffs(weeks(500, 10, 450, 420, 480, 430, 410), END, 7)
    assert plan.enough == 200
    assert plan.cutoffs == back(5, 4, 3, 1)
    assert plan.tuning == back(6)[0]


def test_sparse_data_ask_half_of_the_fullest():
    plan = choose_cutoffs(weeks(3, 8, 1, 5), END, 7)
    assert plan.enough == 4
    # Only two are full enough; the earlier one is kept for tuning.
    assert plan.cutoffs == back(2) and plan.tuning == back(4)[0]


def test_one_full_horizon_is_still_scored():
    plan = choose_cutoffs(weeks(9), END, 7)
    assert plan.cutoffs == back(1) and plan.tuning == back(2)[0]


def test_nobody_comes_back():
    with pytest.raises(ValueError, match="longer HORIZON"):
        choose_cutoffs(events([("ann", "a", -30), ("bob", "a", -3)]), END, 7)


@given(st.lists(st.tuples(st.sampled_from("uvw"), st.integers(1, 60)), min_size=1), st.integers(1, 9))
def test_counts_are_those_of_a_plain_loop(rows, days):
    table = events([(user, "a", -age) for user, age in rows])
    found = count_test_users(table, END, days)
    for n in range(len(found)):
        start, end = -(n + 1) * days, -n * days
        inside = {user for user, age in rows if start <= -age < end}
        before = {user for user, age in rows if -age < start}
        assert found[n] == len(inside & before)
    assert max(age for _, age in rows) <= len(found) * days


def test_given_ones_are_sorted_and_tuned_before_the_first():
    plan = given_cutoffs("2011-12-02T10:00, 2011-11-25", 7)
    assert plan.cutoffs == (datetime(2011, 11, 25), datetime(2011, 12, 2, 10)) and plan.tuning == datetime(2011, 11, 18)
    with pytest.raises(ValueError, match="cannot read 'soon'"):
        given_cutoffs("soon", 7)
    with pytest.raises(ValueError, match="CUTOFF names no time"):
        given_cutoffs(" , ", 7)

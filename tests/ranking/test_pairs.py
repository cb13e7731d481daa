"""Pair arithmetic against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tideline.ranking.pairs import contains, first_of_each, pair_keys, walk_order

ITEMS = 7
pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, ITEMS - 1)), unique=True)


def columns(rows):
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(known=pairs, asked=pairs)
def test_contains_is_membership(known, asked):
    keys = np.sort(pair_keys(*columns(known), ITEMS))
    assert contains(keys, pair_keys(*columns(asked), ITEMS)).tolist() == [pair in known for pair in asked]


@given(proposed=pairs, excluded=pairs, limit=st.integers(1, 4))
def test_first_of_each_keeps_the_first_that_are_not_excluded(proposed, excluded, limit):
    proposed = sorted(proposed, key=lambda pair: pair[0])
    user, item = first_of_each(*columns(proposed), np.sort(pair_keys(*columns(excluded), ITEMS)), limit, ITEMS)
    expected = []
    for owner in range(5):
        expected += [pair for pair in proposed if pair[0] == owner and pair not in excluded][:limit]
    assert list(zip(user.tolist(), item.tolist(), strict=True)) == expected


@given(order=st.permutations(range(5)), depth=st.lists(st.integers(0, 8), max_size=4))
def test_walk_order_gives_each_user_the_head_of_the_order(order, depth):
    user, item = walk_order(np.array(order, dtype=np.int64), np.array(depth, dtype=np.int64))
    expected = [(owner, found) for owner, n in enumerate(depth) for found in order[:n]]
    assert list(zip(user.tolist(), item.tolist(), strict=True)) == expected

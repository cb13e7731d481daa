"""Shares and their product against the definition in float64, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.shares import ADDED_IN_FLOAT32, Events, Shares, cut_users, join_shares, sum_shares

USERS, ITEMS, TEXTS, DIMENSION = 4, 7, 9, 5
BILLION = 10**9
events_of = st.lists(
    st.tuples(
        st.integers(0, USERS - 1), st.integers(-1, ITEMS - 1), st.integers(-1, TEXTS - 1), st.integers(0, 5 * BILLION)
    ),
    max_size=40,
)


def as_events(rows: list[tuple[int, int, int, int]]) -> Events:
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Events(*(table[:, column].astype(np.int32) for column in range(3)), table[:, 3])


def dense(shares: Shares, width: int) -> np.ndarray:
    matrix = np.zeros((len(shares.starts) - 1, width))
    for user, (first, last) in enumerate(zip(shares.starts[:-1], shares.starts[1:], strict=True)):
        assert len(set(shares.row[first:last])) == last - first
        matrix[user, shares.row[first:last]] = shares.share[first:last]
    return matrix


@given(events_of, st.randoms(use_true_random=False))
def test_shares_are_those_of_the_definition_whatever_the_order(rows: list, random) -> None:
    places = random.sample(range(ITEMS), ITEMS), random.sample(range(TEXTS), TEXTS)
    row_at = [np.array(order, dtype=np.int32) for order in places]
    items, texts = sum_shares(as_events(rows), USERS, *row_at)
    expected = [np.zeros((USERS, ITEMS)), np.zeros((USERS, TEXTS))]
    for user, item, text, weight in rows:
        for matrix, order, place in zip(expected, places, (item, text), strict=True):
            if place >= 0:
                matrix[user, order[place]] += weight / ((item >= 0) + (text >= 0))
    total = expected[0].sum(axis=1) + expected[1].sum(axis=1)
    for found, matrix, width in ((items, expected[0], ITEMS), (texts, expected[1], TEXTS)):
        assert np.allclose(dense(found, width), matrix / np.maximum(total, 1)[:, None], atol=1e-7)
    shuffled = random.sample(rows, len(rows))
    for found, again in zip((items, texts), sum_shares(as_events(shuffled), USERS, *row_at), strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))


@given(st.lists(st.integers(0, 4 * ADDED_IN_FLOAT32), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_a_product_is_that_of_float64_and_a_user_has_the_same_bits_alone(entries: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((5 * ADDED_IN_FLOAT32, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row = [np.sort(random.permutation(len(vectors))[:count]) for count in entries]
    weight = [random.random(count) + 1e-9 for count in entries]
    shares = Shares(
        np.cumsum([0, *entries]),
        np.concatenate(row).astype(np.int32),
        np.concatenate([one / one.sum() for one in weight]).astype(np.float32),
    )
    product = shares.times(vectors)
    assert product.dtype == np.float32
    exact = np.array(
        [one / max(one.sum(), 1e-9) @ vectors[rows].astype(np.float64) for one, rows in zip(weight, row, strict=True)]
    )
    assert np.linalg.norm(product - exact, axis=1).max() < 2e-6
    for user in range(len(entries)):
        assert np.array_equal(shares.of(user, user + 1).times(vectors)[0], product[user])


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 12), st.one_of(st.none(), st.integers(1, 5)))
def test_runs_of_users_cover_all_of_them_and_keep_within_the_bounds(
    things: list[int], most: int, size: int | None
) -> None:
    before = np.cumsum([0, *things])
    runs = list(cut_users(before, most, size))
    assert [user for first, last in runs for user in range(first, last)] == list(range(len(things)))
    for first, last in runs:
        assert sum(things[first:last]) <= most or last == first + 1
        assert size is None or last - first <= size


@given(events_of)
def test_joined_parts_are_the_whole(rows: list) -> None:
    row_at = np.arange(ITEMS, dtype=np.int32), np.arange(TEXTS, dtype=np.int32)
    events = as_events(sorted(rows))
    whole = sum_shares(events, USERS, *row_at)
    parts = []
    for user in range(USERS):
        own = events.at(events.user == user)
        parts.append(sum_shares(own._replace(user=own.user - user), 1, *row_at))
    for matrix in (0, 1):
        joined = join_shares([part[matrix] for part in parts])
        assert all(np.array_equal(one, other) for one, other in zip(joined, whole[matrix], strict=True))


def test_weights_too_large_to_sum_are_refused() -> None:
    largest = 10**18 - 1
    rows = [(0, 0, -1, largest)] * 4
    row_at = np.arange(ITEMS, dtype=np.int32), np.arange(TEXTS, dtype=np.int32)
    assert sum_shares(as_events(rows), USERS, *row_at)[0].share == pytest.approx(1)
    with pytest.raises(ValueError, match="too large to sum"):
        sum_shares(as_events([*rows, rows[0]]), USERS, *row_at)

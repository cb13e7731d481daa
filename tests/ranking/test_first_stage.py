"""The first stage: the best of each source, found sparsely, are those that a look at every item finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tideline.ranking.learned import Past, Plan, make_past, rank
from tideline.ranking.learned import features as features_module
from tideline.ranking.learned.features import describe, prepare
from tideline.ranking.learned.sources import COMMON, NAMES
from tideline.ranking.learned.sparse import among_best, keep_best, row_of, stack_rows
from tideline.ranking.learned.untrained import untrained

USERS, ITEMS = 60, 90
DEPTH = 12


@pytest.fixture(scope="module")
def past() -> Past:
    random = np.random.default_rng(4)
    events = USERS * 25
    user = random.integers(0, USERS, events)
    item = (random.pareto(1.0, events) * 4).astype(int) * 3 % ITEMS + user % 3
    vectors = random.normal(size=(ITEMS, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return make_past(
        user,
        np.minimum(item, ITEMS - 1),
        random.random(events) * 60 + 0.01,
        users=USERS,
        items=ITEMS,
        since=np.where(np.arange(ITEMS) % 9 == 0, 5.0, 200.0),
        categories=np.eye(5)[np.arange(ITEMS) % 5],
        vectors=vectors,
    )


sparse_rows = st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0]), min_size=7, max_size=7), min_size=1)


@settings(max_examples=60, deadline=None)
@given(rows=sparse_rows, k=st.integers(1, 8))
def test_the_best_of_a_row_are_those_of_a_sort(rows: list[list[float]], k: int) -> None:
    dense = np.array(rows, dtype=np.float32)
    matrix = csr_array(dense)
    kept = keep_best(matrix, k).toarray()
    ties = among_best(row_of(matrix), matrix.data, len(rows), k)
    for number, row in enumerate(dense):
        stored = np.flatnonzero(row)
        best = stored[np.lexsort((stored, -row[stored]))][:k]
        expected = np.zeros_like(row)
        expected[best] = row[best]
        np.testing.assert_array_equal(kept[number], expected)
        of_row = row_of(matrix) == number
        least = np.sort(row[stored])[::-1][min(k, stored.size) - 1] if stored.size else 0
        np.testing.assert_array_equal(ties[of_row], matrix.data[of_row] >= least)


def test_rows_are_stacked_in_order_whatever_their_number() -> None:
    columns = 1 << 20  # so few rows a block that there are several
    whole = csr_array((np.ones(50, np.float32), (np.arange(50), np.arange(50) * 7)), shape=(50, columns))
    stacked = stack_rows(lambda first, last: whole[first:last], 50, columns)
    assert (stacked != whole).nnz == 0


def test_no_source_multiplies_wide_with_narrow_indices(past: Past) -> None:
    users = np.arange(USERS)
    said = prepare(past).ahead(users, None, DEPTH).prepared.sources.score(users)
    wide = [name for name, what in said.items() if name not in COMMON and what.scores.indices.dtype != np.int32]
    assert not wide  # a product of both kinds makes a wide copy of all of the map, and is wide itself


@pytest.mark.parametrize("repeats", [True, False])
def test_candidates_are_the_best_of_each_source_over_all_items(past: Past, repeats: bool) -> None:
    users, allowed = np.arange(USERS), np.arange(ITEMS) % 7 != 3
    ready = prepare(past).ahead(users, allowed, DEPTH, most=ITEMS)
    found = describe(ready, users, repeats=repeats).candidates
    proposed = {(int(r), int(i)): int(bits) for r, i, bits in zip(found.row, found.item, found.sources, strict=True)}
    had = past.pairs.toarray()[users] > 0
    every = np.repeat(users, ITEMS), np.tile(np.arange(ITEMS), USERS)
    for name, said in ready.prepared.sources.score(users).items():
        if name in COMMON:
            dense = np.broadcast_to(said.scores, (USERS, ITEMS))
        else:
            dense = said.scores.toarray() if said.at is None else said.at(*every).reshape(USERS, ITEMS)
        if name in ("text_long", "text_short"):
            continue  # they speak of what others propose
        may = allowed & (had if name == "own" else ~had)
        depth = 150 if name == "own" else DEPTH
        for user in users:
            scores = np.where(may[user], dense[user], 0)
            wanted = set(np.flatnonzero(scores > max(np.sort(scores)[-depth - 1 :][0] if depth < ITEMS else 0, 0)))
            bit = 1 << NAMES.index(name)
            given = {item for (row, item), bits in proposed.items() if row == user and bits & bit}
            if name == "own" and not repeats:
                assert not given
            else:
                assert wanted <= given, (name, user)
                assert all(scores[item] > 0 for item in given), (name, user)


def test_the_most_promising_stay_and_what_was_had_does(past: Past) -> None:
    users = np.arange(USERS)
    prepared = prepare(past)
    every = describe(prepared.ahead(users, None, DEPTH, most=ITEMS), users, repeats=True).candidates
    some = describe(prepared.ahead(users, None, DEPTH, most=8), users, repeats=True).candidates
    pairs = {(r, i) for r, i in zip(every.row.tolist(), every.item.tolist(), strict=True)}
    assert {(r, i) for r, i in zip(some.row.tolist(), some.item.tolist(), strict=True)} <= pairs
    assert some.own.sum() == every.own.sum()
    new = np.bincount(some.row[~some.own], minlength=USERS)
    assert (new >= 8).all() and new.mean() < 10  # more only where promises are equal
    # Three sources are more often right than one: what stays is proposed by more of them.
    count = [np.mean([bin(bits).count("1") for bits in part.sources[~part.own].tolist()]) for part in (some, every)]
    assert count[0] > count[1]


@pytest.mark.parametrize(("users_a_block", "threads"), [(16, 1), (23, 2), (512, 3)])
def test_lists_depend_neither_on_blocks_nor_on_workers(
    past: Past, users_a_block: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = np.arange(USERS)
    whole = [ranked.pairs for ranked in rank(untrained(Plan(threads=1)), past, users, 5, repeats=True)]
    monkeypatch.setattr(features_module, "MOST_USERS", users_a_block)
    parts = [ranked.pairs for ranked in rank(untrained(Plan(threads=threads)), past, users, 5, repeats=True)]
    assert len(parts) == -(-USERS // users_a_block)
    for name in ("row", "item", "score", "sources", "features"):
        joined = [np.concatenate([getattr(part, name) for part in some]) for some in (whole, parts)]
        np.testing.assert_array_equal(*joined)

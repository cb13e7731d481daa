"""Peers against plain loops and formulas."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from evaluation.arrays import by_name, everybody, split_of
from hypothesis import given
from hypothesis import strategies as st

from tideline.evaluation.peers import PEERS, best_of, rank_items
from tideline.evaluation.peers.repeats import user_vectors
from tideline.evaluation.vectors import RunVectors

EVENTS = [("ann", "a", -1), ("ann", "a", -9), ("bob", "a", -9), ("bob", "b", -9), ("cid", "b", -2), ("cid", "c", -3)]
BY_NAME = {peer.name: peer for peer in PEERS}


def lists(name, split, k=3, *, new=False, vectors=None, **settings):
    peer = BY_NAME[name]
    given = (split.history, vectors) if peer.needs_vectors else (split.history,)
    scorer = peer.fit(*given, **settings)
    users = everybody(split)
    return by_name(split, rank_items(scorer, users, k, split.history.pairs if new else None), users)


def random_rows(seed, users=30, items=20, events=300):
    random = np.random.default_rng(seed)
    return [
        (f"u{random.integers(users):02}", f"i{random.integers(items):02}", -float(random.integers(1, 90)))
        for _ in range(events)
    ]


@given(
    st.lists(st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.0]), min_size=4, max_size=4), min_size=1), st.integers(1, 6)
)
def test_best_of_is_a_stable_sort(rows, k):
    scores = np.array(rows, dtype=np.float32)
    for row, found in zip(rows, best_of(scores, k), strict=True):
        expected = sorted((item for item in range(4) if row[item] > -np.inf), key=lambda item: (-row[item], item))[:k]
        assert [item for item in found if item >= 0] == expected


@pytest.mark.parametrize(
    ("name", "count", "new", "expected"),
    [
        ("popular", "events", False, {"ann": ["a", "b", "c"], "bob": ["a", "b", "c"], "cid": ["a", "b", "c"]}),
        ("popular", "users", True, {"ann": ["b", "c"], "bob": ["c"], "cid": ["a"]}),
        ("popular_7d", "users", False, {"ann": ["a", "b", "c"], "bob": ["a", "b", "c"], "cid": ["a", "b", "c"]}),
        ("popular_7d", "users", True, {"ann": ["b", "c"], "bob": ["c"], "cid": ["a"]}),
    ],
)
def test_popular(name, count, new, expected):
    assert lists(name, split_of(EVENTS), new=new, count=count) == expected


def test_popular_leaves_out_what_nobody_had_lately():
    assert lists("popular_7d", split_of([*EVENTS, ("dan", "d", -8)]), count="users")["dan"] == ["a", "b", "c"]


def test_item_knn_is_the_cosine_of_the_items_users():
    split = split_of(random_rows(1))
    pairs = split.history.pairs.toarray()
    norms = np.linalg.norm(pairs, axis=0)
    scores = pairs @ (pairs.T @ pairs / np.outer(norms, norms))
    found = BY_NAME["item_knn"].fit(split.history, neighbours=100, weighting="cosine")(everybody(split))
    there = found > -np.inf
    assert found[there] == pytest.approx(scores[there], rel=1e-5) and (scores[~there] == 0).all()


def test_ease_is_the_least_squares_map_without_a_diagonal():
    split = split_of(random_rows(2))
    pairs = split.history.pairs.toarray().astype(float)
    penalty = 7.0
    # Column by column: ridge regression of an item on all the others.
    weights = np.zeros((pairs.shape[1],) * 2)
    for item in range(pairs.shape[1]):
        others = np.delete(np.arange(pairs.shape[1]), item)
        x = pairs[:, others]
        weights[others, item] = np.linalg.solve(x.T @ x + penalty * np.eye(len(others)), x.T @ pairs[:, item])
    found = BY_NAME["ease"].fit(split.history, penalty=penalty)(everybody(split))
    assert found == pytest.approx(pairs @ weights, abs=1e-4)


def test_als_finds_what_the_like_minded_have():
    groups = {"x": "abcde", "y": "vwxyz"}
    rows = [
        (f"{group}{n}", item, -1)
        for group, items in groups.items()
        for n in range(8)
        for item in items
        if item != items[n % 5]
    ]
    found = lists("als", split_of(rows), k=1, new=True, factors=4, regularization=0.1, alpha=10.0)
    assert found == {f"{group}{n}": [items[n % 5]] for group, items in groups.items() for n in range(8)}


def test_own_history_decays_and_breaks_ties_by_owners():
    rows = [("ann", "z", -30), ("ann", "b", -1), ("ann", "a", -1), ("bob", "b", -1)]
    assert lists("own_history", split_of(rows), half_life=10.0)["ann"] == ["b", "a", "z"]
    twice = [*rows, ("ann", "z", -29), ("ann", "z", -28)]
    assert lists("own_history", split_of(twice), half_life=None)["ann"] == ["z", "b", "a"]


@pytest.mark.parametrize("groups", [1, 2, 3, 7])
def test_vectors_of_tifu_knn_are_those_of_the_paper(groups):
    within, across = 0.9, 0.7
    split = split_of(random_rows(3, users=6))
    history = split.history
    expected = np.zeros((history.users, history.items))
    for user in range(history.users):
        baskets = defaultdict(set)
        for item, age in zip(history.item[history.user == user], history.age[history.user == user], strict=True):
            baskets[-int(age)].add(int(item))
        days = sorted(baskets)
        parts = [list(part) for part in np.array_split(np.arange(len(days)), min(groups, len(days)))]
        # Whichever groups are the longer ones: they differ by one basket at most, as in ours.
        m = len(parts)
        bounds = [-(-g * len(days) // m) for g in range(m + 1)]
        for g in range(m):
            members = days[bounds[g] : bounds[g + 1]]
            for place, day in enumerate(members):
                for item in baskets[day]:
                    decay = within ** (len(members) - 1 - place) / len(members)
                    expected[user, item] += decay * across ** (m - 1 - g) / m
    assert user_vectors(history, groups, within, across).toarray() == pytest.approx(expected)


def test_tifu_knn_mixes_with_the_nearest():
    split = split_of(random_rows(4, users=9))
    vectors = user_vectors(split.history, 3, 0.9, 0.7).toarray()
    settings = {"groups": 3, "within": 0.9, "across": 0.7, "neighbours": 2, "alpha": 0.3}
    found = BY_NAME["tifu_knn"].fit(split.history, **settings)(everybody(split))
    for user in range(len(vectors)):
        distance = np.square(vectors - vectors[user]).sum(axis=1)
        distance[user] = np.inf
        nearest = np.argsort(distance, kind="stable")[:2]
        mixed = 0.3 * vectors[user] + 0.7 * vectors[nearest].mean(axis=0)
        assert np.where(found[user] > -np.inf, found[user], 0) == pytest.approx(mixed, abs=1e-6)


def test_cosines_of_mean_text_vectors():
    split = split_of([("ann", "a", -1), ("ann", "b", -31), ("bob", "d", -1)])
    items = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)
    none = np.zeros((2, 2), dtype=np.float32)
    vectors = RunVectors(items, items[:, ::-1], none, none, none, gate_is_learned=False)
    plain = BY_NAME["text_mean"].fit(split.history, vectors)(everybody(split))
    assert plain[0, :2] == pytest.approx([0.5**0.5, 0.5**0.5]) and plain[0, 2] == -np.inf
    assert (plain[1] == -np.inf).all()  # nothing that bob had has a vector
    decayed = BY_NAME["text_decayed"].fit(split.history, vectors, half_life=30.0)(everybody(split))
    assert decayed[0, :2] == pytest.approx(np.array([2, 1]) / 5**0.5)


def test_windows_and_gates():
    split = split_of([("ann", "a", -1), ("bob", "b", -1)])
    items = np.eye(2, dtype=np.float32)
    long, short = items[[0, 1]], np.array([[0, 1], [0, 0]], dtype=np.float32)
    vectors = RunVectors(items[::-1], items, long, short, short, gate_is_learned=True)
    users = everybody(split)
    assert by_name(split, rank_items(BY_NAME["long_only"].fit(split.history, vectors), users, 1), users) == {
        "ann": ["a"],
        "bob": ["b"],
    }
    assert lists("short_only", split, 1, vectors=vectors) == {"ann": ["b"], "bob": []}
    assert lists("fixed_gate", split, 1, vectors=vectors, gate=0.9) == {"ann": ["a"], "bob": ["b"]}
    assert lists("fixed_gate", split, 1, vectors=vectors, gate=0.1) == {"ann": ["b"], "bob": ["b"]}
    assert lists("learned_gate", split, 1, vectors=vectors) == {"ann": ["b"], "bob": []}

"""Rules: the laws that hold for any candidates, and what each rule says in the row that it changed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tideline.ranking.rules import (
    Explorers,
    ItemFacts,
    Rules,
    Scored,
    arrange,
    draw_seeds,
    read_categories,
)

NAMES = (None, "toys", "books", "toys|books", "garden")


def facts(categories, vectors=None, age=None, allowed=None):
    size = len(categories)
    return ItemFacts(
        item_id=pa.array([f"i{n}" for n in range(size)]),
        categories=read_categories(categories),
        vectors=np.eye(size, dtype=np.float32) if vectors is None else np.asarray(vectors, dtype=np.float32),
        age=np.full(size, 100.0) if age is None else np.asarray(age, dtype=np.float64),
        allowed=np.ones(size, dtype=bool) if allowed is None else np.asarray(allowed),
    )


def one_user(*scores):
    return Scored(np.zeros(len(scores), np.int64), np.arange(len(scores)), np.array(scores, dtype=np.float64))


def explorers(users, items, had=()):
    pairs = np.array(list(had), dtype=np.int64).reshape(-1, 2)
    seen = csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(users, items.allowed.size))
    fused = np.zeros((users, items.vectors.shape[1]), dtype=np.float32)
    return Explorers(draw_seeds([f"u{n}" for n in range(users)], datetime(2024, 5, 1)), fused, seen)


@st.composite
def worlds(draw):
    """Items, scored pairs of some users, and what they have had."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size, users = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    vectors = rng.normal(size=(size, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = facts(
        [NAMES[n] for n in rng.integers(0, len(NAMES), size)],
        vectors,
        np.where(rng.random(size) < 0.2, np.nan, rng.integers(0, 60, size)),
        rng.random(size) < 0.8,
    )
    rows = [
        (user, item, float(rng.integers(-5, 6)))
        for user in range(users)
        for item in rng.permutation(size)[: draw(st.integers(0, size))]
        if items.allowed[item]
    ]
    rows.sort(key=lambda row: (row[0], -row[2], row[1]))
    user, item, score = zip(*rows, strict=True) if rows else ((), (), ())
    scored = Scored(np.array(user, np.int64), np.array(item, np.int64), np.array(score, np.float64))
    had = {(int(rng.integers(users)), int(rng.integers(size))) for _ in range(draw(st.integers(0, 20)))}
    people = explorers(users, items, had)
    people.fused[:] = rng.normal(size=people.fused.shape) / 2
    return items, scored, people


RULES = st.builds(
    Rules,
    category_cap=st.one_of(st.none(), st.integers(1, 4)),
    boosts=st.dictionaries(st.sampled_from(["toys", "books", "item:i1", "item:none", "no such"]), st.floats(0.1, 10)),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    exploration_share=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
)


@settings(max_examples=300, deadline=None)
@given(worlds(), RULES, st.integers(1, 12))
def test_laws(world, rules, k):
    items, scored, people = world

    made = arrange(rules, scored, items, k, people)

    for user in range(people.seeds.size):
        mine = made.user == user
        assert made.rank[mine].tolist() == list(range(1, mine.sum() + 1))
        assert mine.sum() <= k
        assert len(set(made.item[mine].tolist())) == mine.sum()
        assert (np.diff(made.score[mine]) <= 0).all()
        counts = Counter(
            name for item in made.item[mine] for name in set((text_of(items, item) or "").split("|")) - {""}
        )
        assert rules.category_cap is None or max(counts.values(), default=0) <= rules.category_cap
        candidates = set(scored.item[scored.user == user].tolist())
        had = set(people.had[[user]].indices.tolist())
        new = {int(n) for n in np.flatnonzero(items.allowed & (items.age <= 28))} - had
        mine_new = made.item[mine & (made.index < 0)]
        assert set(mine_new.tolist()) <= new
        if rules.category_cap is None:
            assert mine.sum() == min(k, len(candidates | set(mine_new.tolist())))
            ahead = set(made.item[mine & (made.index >= 0)][: k - rules.places(k)].tolist())
            assert mine_new.size == min(rules.places(k), len(new - ahead))
        else:
            assert mine.sum() >= min(k, rules.category_cap, len(candidates))
    ranked = made.index >= 0
    assert (made.item[ranked] == scored.item[made.index[ranked]]).all()
    assert (made.user[ranked] == scored.user[made.index[ranked]]).all()
    own = np.where(ranked, scored.score[made.index] if scored.item.size else 0.0, 0.0)
    np.testing.assert_allclose(own + made.rules_part, made.score, atol=1e-9)
    told = made.rules_column()
    told.validate(full=True)
    assert len(told) == made.user.size
    silent = np.array([not row for row in told.to_pylist()], dtype=bool)
    assert (made.rules_part[silent] == 0).all()
    assert not silent[~ranked].any()


def text_of(items, item):
    return "|".join(items.categories.names[code] for code in items.categories.matrix[[item]].indices)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(1, 12))
def test_with_every_rule_off_the_first_k_are_published(world, k):
    items, scored, people = world
    place = np.arange(scored.user.size) - np.searchsorted(scored.user, scored.user)

    for given_people in (people, None):
        made = arrange(Rules(), scored, items, k, given_people)

        assert made.index.tolist() == np.flatnonzero(place < k).tolist()
        assert made.score.tolist() == scored.score[place < k].tolist()
        assert not made.rules_part.any()
        assert made.effects == ()


@settings(max_examples=50, deadline=None)
@given(worlds(), RULES, st.integers(1, 12))
def test_a_user_alone_gets_the_same_list(world, rules, k):
    items, scored, people = world
    together = arrange(rules, scored, items, k, people)

    for user in range(people.seeds.size):
        mine = scored.user == user
        alone = arrange(
            rules,
            Scored(np.zeros(mine.sum(), np.int64), scored.item[mine], scored.score[mine]),
            items,
            k,
            Explorers(people.seeds[[user]], people.fused[[user]], people.had[[user]]),
        )

        assert alone.item.tolist() == together.item[together.user == user].tolist()
        np.testing.assert_array_equal(alone.score, together.score[together.user == user])


def test_a_boost_multiplies_the_odds_and_says_so():
    items = facts(["books", "toys|books", "toys"])

    made = arrange(Rules(boosts={"toys": 2.0, "item:i2": 1.5}), one_user(1.0, 0.5, 0.0), items, 3)

    assert made.item.tolist() == [1, 2, 0]
    np.testing.assert_allclose(made.score, [0.5 + np.log(2), np.log(3), 1.0])
    assert made.rules_column().to_pylist() == [
        [{"rule": "boost", "effect": "x2 for category toys"}],
        [{"rule": "boost", "effect": "x2 for category toys"}, {"rule": "boost", "effect": "x1.5 for this item"}],
        [],
    ]


def test_diversity_moves_what_is_like_the_rows_above_and_holds_scores_down():
    items = facts([None] * 3, [[1, 0], [1, 0], [0, 1]])

    made = arrange(Rules(diversity=0.6), one_user(3.0, 2.9, 2.0), items, 3)

    assert made.item.tolist() == [0, 2, 1]
    np.testing.assert_allclose(made.score, [3.0, 2.0, 2.0])
    np.testing.assert_allclose(made.rules_part, [0.0, 0.0, -0.9])
    assert made.effects == ((1, "diversity", "moved from 3 to 2"), (2, "diversity", "moved from 2 to 3"))


def test_a_row_whose_score_had_to_follow_says_so():
    items = facts([None] * 4, [[1, 0, 0], [1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]])

    made = arrange(Rules(diversity=0.7), one_user(3.0, 2.9, 2.8, 2.0), items, 4)

    assert made.item.tolist() == [0, 3, 2, 1]
    assert (2, "score", "lowered to that of the row above") in made.effects


def test_a_cap_passes_over_full_categories_and_says_who_moved_up():
    items = facts(["toys", "toys|books", "toys", "garden", "books", None])

    made = arrange(Rules(category_cap=2), one_user(6, 5, 4, 3, 2, 1), items, 5)

    assert made.item.tolist() == [0, 1, 3, 4, 5]
    assert made.effects == tuple(
        (row, "category_cap", f"moved from {row + 2} to {row + 1}, at most 2 of toys") for row in (2, 3, 4)
    )


def test_exploration_takes_the_last_places():
    items = facts(["toys"] * 6, age=[100, 100, 100, 3, 1, 50])
    scored = one_user(3, 2, 1)
    people = explorers(1, items, had=[(0, 4)])

    made = arrange(Rules(exploration_share=0.5), scored, items, 2, people)

    assert made.item.tolist() == [0, 3]
    assert made.index.tolist() == [0, -1]
    assert made.score.tolist() == [3.0, 3.0]
    assert made.rules_part.tolist() == [0.0, 3.0]
    assert made.effects == ((1, "exploration", "new item, 3 days old"),)


def test_places_without_new_items_go_back_to_the_ranking():
    items = facts([None] * 4)

    made = arrange(Rules(exploration_share=0.5), one_user(4, 3, 2, 1), items, 4, explorers(1, items))

    assert made.index.tolist() == [0, 1, 2, 3]
    assert made.effects == ()


def test_nearer_items_are_drawn_more_often_and_everybody_draws_for_himself():
    users, items = 4000, facts([None] * 3, [[1, 0], [0.9, 0.4358899], [0.8, 0.6]], age=[0, 0, 0])
    people = explorers(users, items)
    near = Explorers(people.seeds, np.tile(np.array([1, 0], np.float32), (users, 1)), people.had)
    nobody = Scored(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))

    def shares(who):
        return np.bincount(arrange(Rules(exploration_share=1), nobody, items, 1, who).item, minlength=3) / users

    np.testing.assert_allclose(shares(people), [1 / 3] * 3, atol=0.03)
    odds = np.exp([0, -1, -2])
    np.testing.assert_allclose(shares(near), odds / odds.sum(), atol=0.03)


def test_seeds_know_user_and_instant_in_any_zone():
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    there = noon.astimezone(timezone(timedelta(hours=5)))

    seeds = draw_seeds(["ann", "bob"], noon)

    assert seeds.tolist() == draw_seeds(["ann", "bob"], there).tolist()
    assert seeds.tolist() == draw_seeds(["ann", "bob"], noon.replace(tzinfo=None)).tolist()
    assert len({*seeds.tolist(), *draw_seeds(["ann", "bob"], noon + timedelta(hours=1)).tolist()}) == 4


def test_what_is_missing_is_named():
    items = facts([None])

    with pytest.raises(ValueError, match="explorers"):
        arrange(Rules(exploration_share=1), one_user(1), items, 1)
    with pytest.raises(ValueError, match="at least 1"):
        arrange(Rules(), one_user(1), items, 0)

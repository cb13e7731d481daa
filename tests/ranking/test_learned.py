"""The learned recommender: point in time, the same code for training and serving, determinism, and little data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.ranking.learned import Past, Plan, Trained, load, make_past, rank, save, train
from tideline.ranking.learned.features import assemble, describe, group_of, prepare
from tideline.ranking.learned.lists import join, lists_at
from tideline.ranking.learned.shift import measure_shift
from tideline.ranking.learned.sources import NAMES
from tideline.ranking.learned.training import _refit

USERS, ITEMS, DAYS = 80, 40, 70
PLAN = Plan(depth=15, cutoffs=6, rounds=30, threads=1, held_lists=60)


def world(seed: int = 3, *, texts: bool = True, users: int = USERS) -> Past:
    """Make users of two tastes who come back to some items every week or so."""
    random = np.random.default_rng(seed)
    taste = random.integers(0, 2, users)
    events = users * 40
    user = random.integers(0, users, events)
    liked = (random.pareto(1.0, events) * 3).astype(int) % (ITEMS // 2) * 2 + taste[user]
    item = np.where(random.random(events) < 0.8, liked, random.integers(0, ITEMS, events))
    vectors = random.normal(size=(ITEMS, 8)) + np.where(np.arange(ITEMS)[:, None] % 2, 2.0, -2.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return make_past(
        user,
        item,
        random.random(events) * DAYS + 0.001,
        users=users,
        items=ITEMS,
        categories=np.eye(4)[np.arange(ITEMS) % 4],
        vectors=vectors.astype(np.float32) if texts else None,
    )


@pytest.fixture(scope="module")
def past() -> Past:
    return world()


@pytest.fixture(scope="module")
def trained(past: Past) -> Trained:
    return train(past, PLAN)


def lists(trained: Trained, past: Past, users: np.ndarray, *, repeats: bool, k: int = 5) -> np.ndarray:
    found = np.full((users.size, k), -1)
    for ranked in rank(trained, past, users, k, repeats=repeats):
        found[ranked.pairs.row, ranked.pairs.rank - 1] = ranked.pairs.item
    return found


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), days=st.floats(0, 60), later=st.integers(0, 200))
def test_events_at_or_after_the_instant_change_nothing(seed: int, days: float, later: int) -> None:
    base = world(seed, users=20)
    random = np.random.default_rng(seed)
    user = np.concatenate([base.user, random.integers(0, 20, later)])
    item = np.concatenate([base.item, random.integers(0, ITEMS, later)])
    age = np.concatenate([base.age, -random.random(later) * (random.random(later) < 0.8)])
    more = make_past(user, item, age, users=20, items=ITEMS, categories=base.categories, vectors=base.vectors)
    for name in ("user", "item", "age", "weight"):
        np.testing.assert_array_equal(getattr(more, name), getattr(base, name))
    earlier = base.before(days)
    assert (earlier.age > 0).all()
    again = base.user[base.age > days]
    np.testing.assert_array_equal(earlier.user, again)


@pytest.mark.parametrize("days", [7.0, 20.5])
def test_features_of_an_earlier_cutoff_are_those_of_the_truncated_events(past: Past, days: float) -> None:
    kept = past.age > days
    truncated = make_past(
        past.user[kept],
        past.item[kept],
        past.age[kept] - days,
        users=past.users,
        items=past.items,
        categories=past.categories,
        vectors=past.vectors,
    )
    matrices = []
    for known in (past.before(days), truncated):
        block = describe(prepare(known).ahead(np.arange(USERS), None, 15), np.arange(USERS), repeats=True)
        matrices.append(assemble(block, repeats=True)[1])
    np.testing.assert_array_equal(*matrices)


def test_lists_to_learn_from_hold_what_serving_would_have_computed(past: Past) -> None:
    made = lists_at(past, 7.0, 7.0, 15, 1000, 1)["repeats"]
    earlier = past.before(7.0)
    users = np.unique(past.user[(past.age > 0) & (past.age <= 7)])
    users = users[np.isin(users, earlier.user)]
    block = describe(prepare(earlier).ahead(users, None, 15), users, repeats=True)
    np.testing.assert_array_equal(made.features, assemble(block, repeats=True)[1])


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize(
    "reads",
    [{"tifu.share", "text_fused.rank"}, {"ease", "own_due", "category_share"}, {"item_age", "text_long", "no_such"}],
)
def test_features_that_nobody_reads_are_left_out_and_the_others_stay(
    past: Past, reads: set[str], repeats: bool
) -> None:
    users, prepared = np.arange(USERS), prepare(past)
    every, some = (
        assemble(describe(prepared.ahead(users, None, 15, reads=asked), users, repeats=True), repeats=repeats)
        for asked in (None, reads)
    )
    chosen = [place for place, name in enumerate(every[2]) if name in reads]
    assert some[2] == tuple(every[2][place] for place in chosen)
    assert set(some[2]) == reads - {"no_such"}
    np.testing.assert_array_equal(some[1], every[1][:, chosen])
    np.testing.assert_array_equal(some[0].item, every[0].item)


def test_items_that_were_not_there_yet_are_no_candidates(past: Past) -> None:
    since = np.full(ITEMS, np.nan)
    later = past.item != 7
    fresh = make_past(
        past.user[later], past.item[later], past.age[later], users=USERS, items=ITEMS,
        since=np.where(np.arange(ITEMS) == 7, 3.0, since), vectors=past.vectors,
    )  # fmt: skip
    now = describe(prepare(fresh).ahead(np.arange(USERS), None, 15), np.arange(USERS), repeats=True).candidates
    then = describe(
        prepare(fresh.before(5.0)).ahead(np.arange(USERS), None, 15), np.arange(USERS), repeats=True
    ).candidates
    assert 7 in now.item  # by its text
    assert 7 not in then.item


def test_the_same_past_gives_the_same_bits_twice(past: Past, trained: Trained) -> None:
    again = train(past, PLAN)
    assert again == trained
    users = np.arange(USERS)
    for repeats in (True, False):
        first, second = (list(rank(model, past, users, 5, repeats=repeats)) for model in (trained, again))
        for one, two in zip(first, second, strict=True):
            np.testing.assert_array_equal(one.pairs.score, two.pairs.score)
            np.testing.assert_array_equal(one.pairs.item, two.pairs.item)


def test_saved_and_loaded_model_gives_the_same_lists(past: Past, trained: Trained, tmp_path: Path) -> None:
    save(trained, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert {file.suffix for file in (tmp_path / "model").iterdir()} <= {".json", ".txt"}
    for repeats in (True, False):
        for one, two in zip(
            rank(trained, past, np.arange(USERS), 5, repeats=repeats),
            rank(loaded, past, np.arange(USERS), 5, repeats=repeats),
            strict=True,
        ):
            np.testing.assert_array_equal(one.pairs.item, two.pairs.item)
            np.testing.assert_array_equal(one.pairs.score, two.pairs.score)


@pytest.mark.parametrize("winner", ["trees", "blend", "tifu", "trees + 0.5 tifu", "trees + 1 blend"])
def test_parts_sum_to_the_score_and_the_scores_fall(past: Past, winner: str) -> None:
    made = join([lists_at(past, days, 7.0, 15, 1000, 1)["repeats"] for days in (7.0, 14.0)])
    model, _ = _refit(winner, made.names, made, 20, PLAN, measure_shift(past))
    parts = model.parts(made.features, made.names)
    assert set(parts) <= {group_of(name) for name in made.names} | {"base"}
    np.testing.assert_allclose(sum(parts.values()), model.score(made.features, made.names), atol=1e-5)


def test_new_only_recommends_nothing_known_and_lists_are_full(past: Past, trained: Trained) -> None:
    known = past.pairs
    found = lists(trained, past, np.arange(USERS), repeats=False, k=3)
    for user in range(USERS):
        free = ITEMS - known[[user]].nnz
        assert (found[user] >= 0).sum() == min(3, free)
        assert not set(found[user][found[user] >= 0]) & set(known[[user]].indices)


def test_learned_lists_beat_popularity_where_users_have_tastes() -> None:
    full = world(11)
    trained = train(full.before(7.0), PLAN)
    card = trained.card["modes"]["repeats"]
    assert card["ndcg@10"][card["winner"]] >= max(card["ndcg@10"].values())
    wanted_user, wanted_item = full.within(0.0, 7.0)
    users = np.unique(wanted_user)
    wanted = set((wanted_user * ITEMS + wanted_item).tolist())
    found = lists(trained, full.before(7.0), users, repeats=True)
    most = np.argsort(-full.before(7.0).owners, kind="stable")[:5]
    hits = sum((user * ITEMS + item) in wanted for user, row in zip(users, found, strict=True) for item in row)
    popular = sum((user * ITEMS + item) in wanted for user in users for item in most)
    assert hits > popular


def test_data_without_texts_or_categories_are_ranked(past: Past) -> None:
    bare = replace(world(texts=False), categories=past.categories[:, :0])
    trained = train(bare, PLAN)
    assert (lists(trained, bare, np.arange(USERS), repeats=True) >= 0).all()
    (ranked,) = rank(trained, bare, np.arange(3), 5, repeats=True)
    assert not [name for name in ranked.pairs.names if name.startswith(("text", "category"))]


def test_few_data_fall_back_and_say_so() -> None:
    few = make_past(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([3.0, 2.0, 1.0]), users=2, items=3)
    trained = train(few, PLAN)
    assert "too few" in trained.card["modes"]["new"]["note"]
    found = lists(trained, few, np.array([0, 1]), repeats=False, k=2)
    np.testing.assert_array_equal(found, [[-1, -1], [0, -1]])


def test_no_events_at_all_recommend_nothing() -> None:
    nothing = np.empty(0, dtype=np.int64)
    empty = make_past(nothing, nothing, np.empty(0), users=1, items=3)
    assert (lists(train(empty, PLAN), empty, np.array([0, -1]), repeats=True) == -1).all()


def test_unknown_users_get_what_is_popular(past: Past, trained: Trained) -> None:
    found = lists(trained, past, np.array([-1, 0]), repeats=True)
    prepared = prepare(past)
    popular = prepared.sources.common[trained.popular]
    np.testing.assert_array_equal(found[0], np.argsort(-popular, kind="stable")[:5])


def test_what_is_not_allowed_is_not_recommended(past: Past, trained: Trained) -> None:
    allowed = np.arange(ITEMS) >= 10
    for ranked in rank(trained, past, np.arange(USERS), 5, repeats=True, allowed=allowed):
        assert (ranked.pairs.item >= 10).all()
        assert (ranked.pairs.sources > 0).all()
        assert (ranked.pairs.sources < 1 << len(NAMES)).all()


def test_kinds_of_users_that_are_more_common_now_count_more() -> None:
    # Two old users and a new one acted in the last week; of those known now, eight are as new as he was.
    user = np.array([0, 1, 2, 0, 1, 2, *range(3, 11)])
    age = np.array([50.0, 50.0, 10.0, 5.0, 5.0, 5.0, *[3.0] * 8])
    past = make_past(user, user % 3, age, users=11, items=3)
    made = lists_at(past, 7.0, 7.0, 3, 1000, 1)["repeats"]
    weight = measure_shift(past).weigh(made)
    assert weight.mean() == pytest.approx(1)
    np.testing.assert_allclose(weight[2] / weight[:2], 8)


@pytest.mark.parametrize("winner", ["trees", "blend", "trees + 1 blend"])
@pytest.mark.parametrize("learned_with_texts", [True, False])
def test_features_that_are_missing_or_new_when_serving_do_not_break_the_ranking(
    past: Past, trained: Trained, winner: str, learned_with_texts: bool
) -> None:
    rich, bare = past, replace(world(texts=False), categories=past.categories[:, :0])
    then, now = (rich, bare) if learned_with_texts else (bare, rich)
    made = lists_at(then, 7.0, 7.0, 15, 1000, 1)["new"]
    model, _ = _refit(winner, made.names, made, 20, PLAN, measure_shift(then))
    for ranked in rank(replace(trained, models={"new": model}), now, np.arange(20), 5, repeats=False):
        assert np.isfinite(ranked.pairs.score).all() and (np.bincount(ranked.pairs.row) == 5).all()
        np.testing.assert_allclose(sum(ranked.parts.values()), ranked.pairs.score, atol=1e-9)

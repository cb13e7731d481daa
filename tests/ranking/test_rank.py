"""The ranked rows of a run: laws that hold whatever ranks, and cases that a plain look can judge."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import duckdb
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from ranking.worlds import AS_OF, World, random_world, rank_by

from tideline import contracts
from tideline.ranking.reasons import NEW
from tideline.ranking.rows import SOURCE_NAMES


def check_rows(world, rows):
    """Check the laws of a run's rows."""
    seen, events = defaultdict(set), {event[0]: event for event in world.events}
    for _, user, item, _, _ in world.events:
        seen[user].update({item} & set(world.items))
    by_user = defaultdict(list)
    for row in rows:
        by_user[row["user_id"]].append(row)
    assert [(row["user_id"], row["rank"]) for row in rows] == sorted((row["user_id"], row["rank"]) for row in rows)
    assert set(by_user) <= set(world.in_scope)
    for user in world.in_scope:
        mine = by_user[user]
        allowed = (
            set(world.items) - world.unavailable - world.blocked - (set() if world.repeats_allowed else seen[user])
        )
        assert len(mine) == min(world.top_k, len(allowed))
        assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
        assert {row["item_id"] for row in mine} <= allowed
        assert len({row["item_id"] for row in mine}) == len(mine)
        assert all(better["score"] >= worse["score"] for better, worse in pairwise(mine))
        for row in mine:
            assert sum(part["value"] for part in row["score_parts"]) == pytest.approx(row["score"], abs=1e-9)
            assert len({part["part"] for part in row["score_parts"]}) == len(row["score_parts"])
            assert set(row["candidate_sources"]) <= set(SOURCE_NAMES)
            assert row["candidate_sources"] and row["reason"]
            assert len({(cited["event_id"], cited["part"]) for cited in row["because"]}) == len(row["because"])
            for cited in row["because"]:
                event = events[cited["event_id"]]
                assert event[1] == user and event[2] == cited["item_id"] and event[3] == cited["event_type"]
                assert abs(cited["event_at"] - (AS_OF - timedelta(days=event[4]))) < timedelta(seconds=1)
                assert cited["event_at"] < AS_OF and cited["contribution"] != 0


@example(seed=1, repeats=True, top_k=40, items=60, user_block=5, texts=False, categories=True)
@example(seed=2, repeats=False, top_k=40, items=60, user_block=5, texts=True, categories=True)
@examples(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    repeats=st.booleans(),
    top_k=st.integers(1, 40),
    items=st.integers(3, 60),
    user_block=st.integers(1, 40),
    texts=st.booleans(),
    categories=st.booleans(),
)
def test_laws_of_the_rows(seed, repeats, top_k, items, user_block, texts, categories, ranker, make_run, ranked_rows):
    world = random_world(seed, users=12, items=items, repeats_allowed=repeats, top_k=top_k)
    world = world if texts else replace(world, vectors={}, texts={})
    world = world if categories else replace(world, categories={})
    check_rows(world, ranked_rows(make_run(world, ranker), user_block))


def test_scores_that_trees_make_equal_do_not_rise_with_the_rank(make_run, ranked_rows):
    world = random_world(0, users=60, items=60, repeats_allowed=True, top_k=30)
    check_rows(world, ranked_rows(make_run(world, "trees alone"), 100))


def test_same_inputs_give_the_same_bytes_and_any_block_the_same_rows(ranker, make_run, ranked_rows):
    world = random_world(7, users=20, items=60, repeats_allowed=True, top_k=20)
    run = make_run(world, ranker)
    first = ranked_rows(run, 6)
    files = {file.name: file.read_bytes() for file in run.scored.iterdir()}
    assert len(files) == 4
    assert ranked_rows(run, 6) == first
    assert {file.name: file.read_bytes() for file in run.scored.iterdir()} == files
    assert ranked_rows(run, 1000) == first
    assert [file.name for file in run.scored.iterdir()] == ["part-00000.parquet"]
    assert ranked_rows(make_run(world, ranker), 3) == first


def test_a_block_of_one_user_changes_no_row(make_run, ranked_rows):
    run = make_run(random_world(7, users=8, items=60, repeats_allowed=True, top_k=20))
    assert ranked_rows(run, 1) == ranked_rows(run, 1000)


def test_items_that_may_not_be_shown_take_no_place_in_a_list(make_run, ranked_rows):
    events = [(f"e{number}", f"u{number % 90}", f"i{number % 90:03d}", "view", 5) for number in range(180)]
    world = World(events, [f"i{number:03d}" for number in range(200)], unavailable=frozenset(e[2] for e in events))
    check_rows(world, ranked_rows(make_run(world)))


RULES = [
    {"boosts": {"tea": 3.0, "item:i004": 0.2}},
    {"diversity": 0.4},
    {"exploration_share": 0.4, "exploration_days": 10.0},
    {"boosts": {"coffee": 0.5}, "diversity": 0.2, "exploration_share": 0.2},
]


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: "+".join(rules))
def test_the_laws_hold_under_rules_and_changed_rows_name_them(rules, make_run, ranked_rows):
    plain = random_world(4, users=12, items=40, repeats_allowed=True, top_k=10)
    plain = replace(
        plain,
        blocked=frozenset(["i001", "i002"]),
        available_from={item: 5.0 if number % 4 else 90.0 for number, item in enumerate(plain.items)},
    )
    rows = ranked_rows(make_run(replace(plain, rules=rules)), 5)
    check_rows(plain, rows)
    named = {effect["rule"] for row in rows for effect in row["rules"]}
    names = {"boosts": "boost", "diversity": "diversity", "exploration_share": "exploration"}
    assert {names[setting] for setting in rules if setting in names} <= named <= {*names.values(), "score"}
    for row in rows:
        parts = {part["part"]: part["value"] for part in row["score_parts"]}
        assert row["rules"] or parts["rules"] == 0
        assert ("exploration" in row["candidate_sources"]) == (row["reason"] == NEW)


def test_a_cap_bounds_each_category(make_run, ranked_rows):
    world = random_world(4, users=12, items=40, repeats_allowed=True, top_k=6, rules={"category_cap": 2})
    rows = ranked_rows(make_run(world))
    for user in world.in_scope:
        listed = Counter(
            name.strip()
            for row in rows
            if row["user_id"] == user
            for name in world.categories.get(row["item_id"], "").split("|")
        )
        assert all(count <= 2 for name, count in listed.items() if name)
    assert rows


def test_columns_are_those_of_the_contract(make_run, ranked_rows):
    run = make_run(random_world(1, users=3))
    rows = ranked_rows(run)
    assert {row["model_version"] for row in rows} == {run.model_version}
    with duckdb.connect() as connection:
        connection.execute(f"create table scored ({contracts.ddl(contracts.SCORED)})")
        wanted = connection.execute("describe scored").fetchall()
        found = connection.execute(
            "describe select * from read_parquet($1)", [str(run.scored / "*.parquet")]
        ).fetchall()
    assert [column[:2] for column in found] == [column[:2] for column in wanted]


def test_a_user_without_events_of_interest_gets_what_is_popular(make_run, ranked_rows):
    world = World(
        events=[("e2", "bob", "b", "view", 2), ("e3", "cid", "b", "view", 3), ("e4", "dan", None, "search", 1)],
        items=["a", "b", "c"],
        users=["ann", "bob", "cid", "dan"],
    )
    rows = ranked_rows(make_run(world))
    for user in ("ann", "dan"):
        mine = [row for row in rows if row["user_id"] == user]
        assert [row["item_id"] for row in mine] == ["b", "a", "c"]
        assert mine[0]["reason"] == "Popular with everyone"
        assert mine[2]["reason"] == "Completes the list: nothing more is known yet"
        assert all(row["long_score"] is None and row["short_score"] is None and row["because"] == [] for row in mine)


def test_cosines_are_those_of_the_windows_and_null_without_one(make_run, ranked_rows):
    world = World(
        events=[("e1", "ann", "a", "view", 100), ("e2", "bob", "b", "view", 1)],
        items=["a", "b", "c", "d"],
        vectors={"a": [1, 0], "b": [0, 1], "c": [0.6, 0.8]},
    )
    found = {(row["user_id"], row["item_id"]): row for row in ranked_rows(make_run(world))}
    assert found["ann", "c"]["long_score"] == pytest.approx(0.6)
    assert found["ann", "c"]["short_score"] is None
    assert found["bob", "c"]["short_score"] == pytest.approx(0.8)
    assert found["bob", "c"]["long_score"] is None
    assert found["ann", "d"]["long_score"] is None, "an item without a vector has no cosine"


def test_ties_are_broken_by_item_id(make_run, ranked_rows):
    world = World(events=[("e1", "ann", "z", "view", 100)], items=["z", "k", "b", "x", "a"], top_k=3)
    rows = ranked_rows(make_run(world, rank_by("own.share")))
    assert [row["item_id"] for row in rows] == ["a", "b", "k"]
    assert {row["score"] for row in rows} == {0.0}


def test_categories_of_an_item_with_several_count_each(make_run, ranked_rows):
    world = World(
        events=[("e1", "ann", "tea", "view", 9), ("e2", "bob", "axe", "view", 9), ("e3", "cid", "saw", "view", 9)],
        items=["axe", "both", "saw", "tea", "teapot"],
        categories={"tea": "tea", "teapot": "tea", "both": "tools | tea", "axe": "tools", "saw": "tools"},
    )
    rows = [row for row in ranked_rows(make_run(world, rank_by("category.share"))) if row["user_id"] == "ann"]
    scores = {row["item_id"]: row["score"] for row in rows}
    assert scores["teapot"] == pytest.approx(2 * scores["both"]) and scores["both"] > 0
    assert scores["axe"] == scores["saw"] == 0


def test_who_has_seen_everything_gets_no_row(ranker, make_run, ranked_rows):
    world = World(
        events=[("e1", "ann", "a", "view", 1), ("e2", "ann", "b", "view", 1), ("e3", "bob", "a", "view", 1)],
        items=["a", "b", "c"],
        unavailable=frozenset("c"),
    )
    assert [(row["user_id"], row["item_id"]) for row in ranked_rows(make_run(world, ranker))] == [("bob", "b")]


@pytest.mark.parametrize("items", [[], ["a"]])
def test_no_user_gives_an_empty_part_with_the_columns(items, ranker, make_run, ranked_rows):
    run = make_run(World(events=[], items=items), ranker)
    assert ranked_rows(run) == []
    assert [file.name for file in run.scored.iterdir()] == ["part-00000.parquet"]


def test_no_item_gives_no_row(ranker, make_run, ranked_rows):
    assert ranked_rows(make_run(World(events=[("e1", "ann", None, "search", 1)], items=[]), ranker)) == []


def test_an_item_that_arrives_at_the_very_instant_is_recommended(make_run, ranked_rows):
    world = World(events=[("e1", "ann", "a", "view", 1)], items=["a", "b"], available_from={"b": 0.0})
    assert [row["item_id"] for row in ranked_rows(make_run(world))] == ["b"]


def test_texts_of_searches_without_any_item_vector_do_not_stop_the_ranking(make_run, ranked_rows):
    world = random_world(5, users=6, items=30)
    world = replace(
        world, vectors={}, texts={event[0]: [1.0] + [0.0] * 15 for event in world.events if event[2] is None}
    )
    check_rows(world, ranked_rows(make_run(world)))

"""The ranked rows against a plain computation over the whole small catalogue."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from embeddings.settings import Settings
from tideline import contracts
from tideline.ranking import rank
from tideline.ranking.plan import RankingError

AS_OF = datetime(2020, 6, 1)


def seen_items(world):
    seen = defaultdict(set)
    for _, user, item, _, _ in world.events:
        seen[user].update({item} - {None})
    return seen


def scaled(counts, items):
    logs = {item: np.log1p(counts.get(item, 0)) for item in items}
    top = max(logs.values())
    return {item: value / top if top else 0.0 for item, value in logs.items()}


def explain(world, user, target):
    """Contributions {(event, part): value} of all the user's events to one item, and the parts, in plain loops."""
    vectors = {key: np.asarray(value, np.float64) for key, value in {**world.vectors, **world.texts}.items()}
    mine = [event for event in world.events if event[1] == user]
    weight = {event[0]: 2.0 if event[3] == "purchase" else 1.0 for event in mine}
    mean, shares = {}, {}
    for part, low, high in (("long", 7, 365), ("short", -1, 7)):
        inside = {
            event[0]: np.mean([vectors[key] for key in (event[2], event[0]) if key in vectors], axis=0)
            for event in mine
            if low < event[4] <= high and (event[2] in vectors or event[0] in vectors)
        }
        total = sum(weight[event] for event in inside)
        shares[part] = {event: weight[event] / total * vector for event, vector in inside.items()}
        mean[part] = sum(shares[part].values()) if inside else None
    both = mean["long"] is not None and mean["short"] is not None
    gate = world.gate if both else float(mean["long"] is not None)
    share = {"long": gate, "short": 1 - gate}
    units = {part: value / np.linalg.norm(value) for part, value in mean.items() if value is not None}
    fused_norm = np.linalg.norm(sum(share[part] * unit for part, unit in units.items())) if units else None
    found = {}
    if target in vectors:
        for part in units:
            scale = world.weights["interest"] * share[part] / fused_norm / np.linalg.norm(mean[part])
            for event, vector in shares[part].items():
                found[event, part] = scale * float(vector @ vectors[target])
    own = {event[0]: weight[event[0]] * 0.5 ** (event[4] / 30) for event in mine if event[2] == target}
    h = sum(own.values())
    own_part = world.weights["own_history"] * h / (1 + h)
    # Events before the windows are cited under the last event of the pair.
    last = max((event for event in mine if event[2] == target), key=lambda event: (-event[4], event[0]), default=None)
    in_windows = {event[0] for event in mine if event[4] <= 365}
    for event, value in own.items():
        key = event if event in in_windows else last[0]
        found[key, "own_history"] = found.get((key, "own_history"), 0.0) + own_part * value / h
    parts = {part: sum(value for (_, p), value in found.items() if p == part) for part in ("long", "short")}
    return found, {**parts, "own_history": own_part}


@pytest.mark.parametrize(("seed", "repeats"), [(1, False), (2, True), (3, True)])
def test_rows_are_those_of_a_plain_computation(seed, repeats, new_random_world, make_run, ranked_rows):
    world = new_random_world(seed, users=20, items=35, repeats_allowed=repeats)
    rows = ranked_rows(make_run(world))
    seen = seen_items(world)
    users, recent = defaultdict(set), defaultdict(int)
    for _, user, item, _, age in world.events:
        users[item].add(user)
        recent[item] += age <= 7
    popularity = scaled({item: len(found) for item, found in users.items()}, world.items)
    trend = scaled(recent, world.items)
    by_user = defaultdict(list)
    for row in rows:
        by_user[row["user_id"]].append(row)
    assert sorted(by_user) == sorted(seen)
    for user, mine in by_user.items():
        expected = {}
        for item in set(world.items) - world.unavailable - (set() if repeats else seen[user]):
            found, parts = explain(world, user, item)
            parts |= {"base": 0.0, "trend": world.weights["trend"] * trend[item]}
            parts |= {"popularity": world.weights["popularity"] * popularity[item]}
            expected[item] = (sum(parts.values()), parts, found)
        best = sorted(expected, key=lambda item: -expected[item][0])[: world.top_k]
        assert [row["item_id"] for row in mine] == best
        for row in mine:
            total, parts, found = expected[row["item_id"]]
            assert row["score"] == pytest.approx(total, abs=1e-6)
            assert {p["part"]: p["value"] for p in row["score_parts"]} == pytest.approx(parts, abs=1e-6)
            for cited in row["because"]:
                assert cited["contribution"] == pytest.approx(found[cited["event_id"], cited["part"]], abs=1e-6)
            largest = sorted((abs(value) for value in found.values() if value), reverse=True)[:3]
            assert [abs(c["contribution"]) for c in row["because"]] == pytest.approx(largest, abs=1e-6)


@example(seed=1, repeats=True, top_k=60, items=90, user_block=5, texts=False)
@examples(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    repeats=st.booleans(),
    top_k=st.integers(1, 60),
    items=st.integers(3, 90),
    user_block=st.integers(1, 40),
    texts=st.booleans(),
)
def test_laws_of_the_rows(seed, repeats, top_k, items, user_block, texts, new_random_world, make_run, ranked_rows):
    world = new_random_world(seed, users=12, items=items, repeats_allowed=repeats, top_k=top_k)
    world = world if texts else replace(world, vectors={}, texts={})
    rows = ranked_rows(make_run(world), user_block)
    seen = seen_items(world)
    events = {event[0]: event for event in world.events}
    by_user = defaultdict(list)
    for row in rows:
        by_user[row["user_id"]].append(row)
    assert [(row["user_id"], row["rank"]) for row in rows] == sorted((row["user_id"], row["rank"]) for row in rows)
    for user in seen:
        mine = by_user[user]
        allowed = set(world.items) - world.unavailable - (set() if repeats else seen[user])
        assert len(mine) == min(top_k, len(allowed))
        assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
        assert {row["item_id"] for row in mine} <= allowed
        assert len({row["item_id"] for row in mine}) == len(mine)
        order = [(-row["score"], row["item_id"]) for row in mine]
        assert order == sorted(order)
        for row in mine:
            assert sum(part["value"] for part in row["score_parts"]) == row["score"]
            assert row["candidate_sources"] and row["reason"] and row["rules"] == []
            assert len({(cited["event_id"], cited["part"]) for cited in row["because"]}) == len(row["because"])
            for cited in row["because"]:
                event = events[cited["event_id"]]
                assert event[1] == user and event[2] == cited["item_id"] and event[4] > 0
                assert abs(cited["event_at"] - (AS_OF - timedelta(days=event[4]))) < timedelta(seconds=1)
                assert cited["event_at"] < AS_OF


def test_same_inputs_give_the_same_bytes_and_any_block_the_same_rows(new_random_world, make_run, ranked_rows):
    world = new_random_world(7, users=40, items=60, repeats_allowed=True)
    run = make_run(world)
    first = ranked_rows(run, 11)
    files = {file.name: file.read_bytes() for file in run.scored.iterdir()}
    assert len(files) == 4
    assert ranked_rows(run, 11) == first
    assert {file.name: file.read_bytes() for file in run.scored.iterdir()} == files
    assert ranked_rows(run, 1000) == first
    assert ranked_rows(run, 1) == first


def test_columns_are_those_of_the_contract(new_random_world, make_run, ranked_rows):
    run = make_run(new_random_world(1, users=3))
    ranked_rows(run)
    with duckdb.connect() as connection:
        connection.execute(f"create table scored ({contracts.ddl(contracts.SCORED)})")
        wanted = connection.execute("describe scored").fetchall()
        found = connection.execute(
            "describe select * from read_parquet($1)", [str(run.scored / "*.parquet")]
        ).fetchall()
    assert [column[:2] for column in found] == [column[:2] for column in wanted]


def test_a_user_without_vectors_gets_what_is_popular(new_world, make_run, ranked_rows):
    world = new_world(
        events=[("e1", "ann", "a", "view", 1), ("e2", "bob", "b", "view", 50), ("e3", "cid", "b", "view", 60)],
        items=["a", "b", "c", "d"],
        vectors={"b": [1, 0], "c": [0, 1]},
    )
    rows = [row for row in ranked_rows(make_run(world)) if row["user_id"] == "ann"]
    assert [row["item_id"] for row in rows] == ["b", "c", "d"]
    assert rows[0]["candidate_sources"] == ["popular"]
    assert rows[0]["reason"] == "Popular with everyone"
    assert rows[2]["reason"] == "Completes the list: nothing more is known yet"
    assert all(row["long_score"] is None and row["short_score"] is None and row["because"] == [] for row in rows)


def test_a_missing_window_gives_a_null_cosine(new_world, make_run, ranked_rows):
    world = new_world(
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


def test_ties_are_broken_by_item_id(new_world, make_run, ranked_rows):
    world = new_world(events=[("e1", "ann", "z", "view", 100)], items=["z", "k", "b", "x", "a"], top_k=3)
    rows = ranked_rows(make_run(world))
    assert [row["item_id"] for row in rows] == ["a", "b", "k"]
    assert {row["score"] for row in rows} == {0.0}


def test_who_has_seen_everything_gets_no_row(new_world, make_run, ranked_rows):
    world = new_world(
        events=[("e1", "ann", "a", "view", 1), ("e2", "ann", "b", "view", 1), ("e3", "bob", "a", "view", 1)],
        items=["a", "b", "c"],
        unavailable=frozenset("c"),
    )
    assert [(row["user_id"], row["item_id"]) for row in ranked_rows(make_run(world))] == [("bob", "b")]


@pytest.mark.parametrize("items", [[], ["a"]])
def test_no_user_gives_an_empty_part_with_the_columns(items, new_world, make_run, ranked_rows):
    run = make_run(new_world(events=[], items=items))
    assert ranked_rows(run) == []
    assert [file.name for file in run.scored.iterdir()] == ["part-00000.parquet"]


def test_a_second_attempt_leaves_no_part_of_the_first(new_random_world, make_run, ranked_rows):
    run = make_run(new_random_world(1, users=9))
    ranked_rows(run, 1)
    rows = ranked_rows(run, 100)
    assert [file.name for file in run.scored.iterdir()] == ["part-00000.parquet"]
    assert {row["user_id"] for row in rows} == {f"u{number:04d}" for number in range(9)}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"interest": 1, "own_history": 1, "trend": 1}, "lacks a weight for popularity"),
        ({"interest": 1, "own_history": 1, "trend": 1, "popularity": 1, "luck": 1}, "unknown parts \\['luck'\\]"),
        ({"interest": -1, "own_history": 1, "trend": 1, "popularity": 1}, "mend \\['interest'\\]"),
    ],
)
def test_bad_weights_are_named(weights, message, new_world, make_run):
    run = make_run(new_world(events=[("e1", "ann", "a", "view", 1)], items=["a"], weights=weights))
    with pytest.raises(RankingError, match=message):
        rank(run, Settings(source="canonical", home=run.root))
    assert not run.scored.exists()

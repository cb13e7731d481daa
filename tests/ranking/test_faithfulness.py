"""What a score loses without the cited events, against histories that really lack them."""

from __future__ import annotations

import json
from dataclasses import replace

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranking.worlds import World, random_world, rank_by

from tideline.ranking.because import CITED
from tideline.ranking.erased import load_own
from tideline.ranking.events import load_items
from tideline.ranking.faithfulness import (
    DRAWS,
    RANKS,
    Published,
    Trials,
    choose_users,
    plan_trials,
    score_trials,
    summarise,
)
from tideline.ranking.inputs import load_inputs
from tideline.ranking.learned import make_past
from tideline.ranking.learned.features import prepare
from tideline.ranking.learned.ranking import score, score_pairs


def own_score(row):
    """The score of a published row without what rules did."""
    return row["score"] - sum(part["value"] for part in row["score_parts"] if part["part"] == "rules")


def score_without(run, k, erased):
    """Return a function from (user id, item ids) to scores without the events `erased[user id]`."""
    inputs = load_inputs(run)
    with duckdb.connect() as connection:
        load_items(connection, inputs)
        own = load_own(run, inputs, connection, np.arange(len(inputs.user_id)))
    users, items, events = (ids.to_pylist() for ids in (inputs.user_id, inputs.catalogue.item_id, own.event_id))

    def scores(user, item_ids):
        history = (users.index(user), frozenset(events.index(name) for name in erased.get(user, ())))
        rows = [Published(history[0], items.index(name), 0.0, [], "") for name in item_ids]
        found = score_trials(inputs, own, Trials(rows, np.zeros((len(rows), 1), dtype=np.int64), [history]), k)
        return found[:, 0].tolist()

    return scores


@pytest.mark.parametrize("repeats", [True, False])
def test_with_every_event_kept_the_scores_are_the_published_ones(repeats, ranker, make_run, ranked_rows):
    world = random_world(31, users=30, items=50, repeats_allowed=repeats, top_k=10)
    run = make_run(world, ranker)
    published = ranked_rows(run, 100)
    scores = score_without(run, world.top_k, {})
    for user in ("u0003", "u0010", "u0011", "u0025"):
        rows = [row for row in published if row["user_id"] == user]
        assert scores(user, [row["item_id"] for row in rows]) == pytest.approx(
            [own_score(row) for row in rows], abs=1e-5
        )


@pytest.mark.parametrize("repeats", [True, False])
def test_erased_events_might_as_well_never_have_been(repeats, ranker, make_run, ranked_rows):
    """An hour after the night, with the night's knowledge and gate, whose tables lack the erased events."""
    world = random_world(32, users=30, items=50, repeats_allowed=repeats, top_k=10)
    night = make_run(world, ranker)
    ranked_rows(night)
    random = np.random.default_rng(3)
    erased = {}
    events_of = {user: [event[0] for event in world.events if event[1] == user] for user in world.in_scope}
    for user in [user for user, events in events_of.items() if len(events) >= 6][:8]:
        erased[user] = set(random.choice(events_of[user], len(events_of[user]) // 3, replace=False).tolist())
    gone = set().union(*erased.values())
    fewer = replace(world, events=[event for event in world.events if event[0] not in gone], users=set(erased))
    expected = ranked_rows(make_run(fewer, base=night), 100)
    scores = score_without(night, world.top_k, erased)
    changed = score_without(night, world.top_k, {})
    moved = 0
    for user in erased:
        rows = [row for row in expected if row["user_id"] == user]
        items = [row["item_id"] for row in rows]
        assert scores(user, items) == pytest.approx([own_score(row) for row in rows], abs=1e-5)
        moved += scores(user, items) != pytest.approx(changed(user, items), abs=1e-3, nan_ok=True)
    assert moved >= 6


@pytest.mark.parametrize("repeats", [True, False])
def test_a_pair_that_no_source_proposes_is_scored_all_the_same(repeats):
    random = np.random.default_rng(6)
    past = make_past(*random.integers(0, [[12], [40]], (2, 150)), random.uniform(0.1, 80, 150), users=12, items=40)
    prepared, ranked = prepare(past), rank_by("ease.share", "popular.share")
    trained = replace(ranked, plan=replace(ranked.plan, depth=1))
    asked = {"repeats": repeats, "allowed": np.ones(40, dtype=bool)}
    user, item = (column.ravel() for column in np.mgrid[0:12, 0:40])
    found = score_pairs(trained, prepared, user, item, 1, **asked).reshape(12, 40)
    had = past.pairs[:12].toarray() > 0
    assert np.isnan(found).sum() == (0 if repeats else had.sum())
    # Each alone, it has the score that it has among the best.
    best = next(score(trained, prepared, np.arange(12), 1, **asked))
    assert score_pairs(trained, prepared, best.row, best.item, 1, **asked) == pytest.approx(best.score)


def figures_of(run):
    return {(row["metric"], row["subject"]): row["value"] for row in json.loads(run.faithfulness.read_text())}


def shopping(users=40, items=30):
    """Users who come back to a few items of their own, and to many once."""
    random = np.random.default_rng(5)
    names = [f"i{number:02d}" for number in range(items)]
    events = []
    for user in range(users):
        often = random.choice(items, 4, replace=False)
        for item in [*np.repeat(often, 3), *random.choice(items, 8)]:
            events.append((f"e{len(events):05d}", f"u{user:03d}", names[item], "view", float(random.uniform(1, 90))))
    return World(events, names, repeats_allowed=True, top_k=10)


def test_what_a_user_had_is_carried_by_the_events_with_it(make_run, ranked_rows):
    run = make_run(shopping(), rank_by("own.share"))
    ranked_rows(run)
    figures = figures_of(run)
    # Who has had less than ten items has rows that cite nothing.
    assert 30 * RANKS < figures["faithfulness_rows", "all"] == figures["faithfulness_rows", "own_history"] < 40 * RANKS
    assert figures["faithfulness", "own_history"] > 0.95
    assert figures["faithfulness_cited_drop", "all"] > 0.3 > 0.1 > figures["faithfulness_random_drop", "all"]


def test_the_same_night_measures_the_same(make_run, ranked_rows):
    run = make_run(shopping(), "trees")
    measured = []
    for block in (100, 7):
        ranked_rows(run, block)
        measured.append(figures_of(run))
    assert measured[0] == pytest.approx(measured[1], abs=1e-5)


def test_an_hour_measures_nothing(make_run, ranked_rows):
    world = shopping()
    night = make_run(world)
    ranked_rows(night)
    hour = make_run(replace(world, users={"u001"}), base=night)
    ranked_rows(hour)
    assert night.faithfulness.exists() and not hour.faithfulness.exists()


@pytest.mark.parametrize("events", [0, 1])
def test_a_night_without_rows_to_try_says_nothing(events, make_run, ranked_rows):
    world = shopping()
    few = [event for number, event in enumerate(world.events) if number % 20 < events]
    run = make_run(replace(world, events=few, users={event[1] for event in world.events}))
    ranked_rows(run)
    assert json.loads(run.faithfulness.read_text()) == []


def test_random_events_are_as_many_and_never_cited(make_run):
    run = make_run(random_world(33, users=30, items=40))
    inputs = load_inputs(run)
    with duckdb.connect() as connection:
        load_items(connection, inputs)
        own = load_own(run, inputs, connection, choose_users(inputs))
    had = np.bincount(inputs.past.user, minlength=inputs.past.users)[own.sample]
    assert had.size and had.min() >= 2 * CITED
    names = own.event_id.to_pylist()
    rows = [
        Published(user, 0, 0.0, names[own.starts[user] + first : own.starts[user] + first + count], "long")
        for user in range(own.sample.size)
        for first in range(2)
        for count in range(1, CITED + 1)
    ]
    trials = plan_trials(own, rows)
    assert trials.rows == rows and trials.history.shape == (len(rows), 1 + DRAWS)
    for row, history in zip(rows, trials.history, strict=True):
        cited, *others = (trials.erased[number] for number in history)
        assert {names[event] for event in cited[1]} == set(row.events)
        for user, events in others:
            assert user == row.user and len(events) == len(row.events) and not events & cited[1]
            assert all(own.starts[user] <= event < own.starts[user + 1] for event in events)


drops = st.floats(-2, 2) | st.just(float("nan"))


@given(st.lists(st.tuples(drops, drops, st.sampled_from(["long", "own_history"]))))
def test_figures_of_parts_make_those_of_all(rows):
    cited, random = (np.array([row[place] for row in rows], dtype=np.float64) for place in (0, 1))
    found = {(row["metric"], row["subject"]): row["value"] for row in summarise(cited, random, [r[2] for r in rows])}
    known = ~(np.isnan(cited) | np.isnan(random))
    assert found.get(("faithfulness_rows", "all"), 0) == known.sum()
    for metric in ("faithfulness", "faithfulness_cited_drop", "faithfulness_random_drop"):
        parts = [subject for name, subject in found if name == metric and subject != "all"]
        total = sum(found[metric, part] * found["faithfulness_rows", part] for part in parts)
        assert total == pytest.approx(found.get((metric, "all"), 0) * known.sum(), abs=1e-9)


def test_ties_count_half_and_what_cannot_be_scored_nothing():
    nan = float("nan")
    rows = [(1.0, 0.5), (0.2, 0.2), (0.2, 0.2 + 1e-9), (0.1, 0.3), (nan, 0.1), (0.1, nan)]
    cited, random = np.array(rows).T
    found = {row["metric"]: row["value"] for row in summarise(cited, random, ["long"] * 6) if row["subject"] == "all"}
    assert found["faithfulness_rows"] == 4
    assert found["faithfulness"] == (1 + 0.5 + 0.5) / 4
    assert found["faithfulness_cited_drop"] == pytest.approx(1.5 / 4)

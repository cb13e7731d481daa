"""A past made of a run's tables: what it knows, and what it must not know."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from ranking.worlds import AS_OF, World, random_world, weight_of

from tideline.ranking.learned.from_run import load_past, multi_hot

ITEMS, USERS = ["a", "b", "c"], ["ann", "bob"]
ages = st.one_of(st.just(0.0), st.integers(1, 5 * 86_400_000_000).map(lambda n: n / 86_400_000_000), st.floats(-9, 9))
rows = st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from([*ITEMS, "elsewhere"]), ages), max_size=12)


@settings(max_examples=20)
@given(rows=rows, zone=st.booleans())
def test_events_at_or_after_the_instant_are_never_read(rows, zone, make_run):
    events = [(f"e{n}", user, item, "purchase", age) for n, (user, item, age) in enumerate(rows)]
    run = make_run(World(events, ITEMS, users=USERS))
    loaded = load_past(run.tables, run.vectors, AS_OF.replace(tzinfo=UTC) if zone else AS_OF)
    past = loaded.past
    read = pq.read_table(run.tables / "user_events.parquet").to_pylist()
    wanted = sorted(
        (event["user_id"], event["item_id"])
        for event in read
        if event["event_at"] < AS_OF and event["item_id"] in ITEMS
    )
    found = zip(
        loaded.user_id.take(pa.array(past.user)).to_pylist(),
        loaded.item_id.take(pa.array(past.item)).to_pylist(),
        strict=True,
    )
    assert sorted(found) == wanted
    assert (past.age > 0).all() and (np.diff(past.age) <= 0).all()
    assert (past.weight == weight_of("purchase")).all()


def test_items_that_only_the_catalogue_knows_are_there(make_run):
    world = World(
        [("e1", "ann", "a", "view", 3)],
        ["a", "b", "now", "old", "soon"],
        available_from={"now": 0.0, "old": 10.0, "soon": -1.0},
        unavailable=frozenset(["soon"]),
    )
    run = make_run(world)
    loaded = load_past(run.tables, run.vectors, AS_OF)
    assert loaded.item_id.to_pylist() == sorted(world.items)
    assert dict(zip(loaded.item_id.to_pylist(), loaded.past.there.tolist(), strict=True)) == {
        "a": True,
        "b": True,
        "now": True,
        "old": True,
        "soon": False,
    }
    assert loaded.past.item_age[3] == 10
    assert loaded.available.tolist() == [True, True, True, True, False]


names = st.text(st.sampled_from("ab |"), max_size=8) | st.none()


@given(st.lists(names, max_size=8))
def test_the_shares_of_an_items_categories_sum_to_1(categories):
    matrix = multi_hot(pa.chunked_array([pa.array(categories, pa.string())])).toarray()
    assert matrix.shape[0] == len(categories)
    for row, category in zip(matrix, categories, strict=True):
        known = {name.strip() for name in (category or "").split("|")} - {""}
        assert (row > 0).sum() == len(known)
        assert abs(row.sum() - bool(known)) < 1e-9


def test_an_hour_numbers_items_as_its_base_does_and_knows_what_is_available_now(make_run):
    world = random_world(1, users=6, items=12)
    night = make_run(world)
    changed = replace(world, items=[*world.items[3:], "new"], unavailable=frozenset(["i004"]), users=["u0002", "new"])
    hour = make_run(changed, base=night)
    loaded = load_past(hour.tables, hour.vectors, AS_OF, hour.base_tables)
    assert loaded.item_id.to_pylist() == sorted(world.items)
    assert loaded.available.tolist() == [item in changed.items and item != "i004" for item in sorted(world.items)]
    assert loaded.user_id.to_pylist() == ["new", "u0002"]
    known = [event for event in world.events if event[1] == "u0002" and event[2] is not None]
    assert loaded.past.user.tolist() == [1] * len(known)


def test_without_vectors_or_categories_nothing_is_known_of_them(make_run):
    run = make_run(World([("e1", "ann", "a", "view", 3)], ITEMS))
    for missing in (False, True):
        if missing:
            (run.vectors / "item_vectors.parquet").unlink()
        past = load_past(run.tables, run.vectors, AS_OF).past
        assert past.vectors.shape == (3, 0) and past.categories.shape == (3, 0)

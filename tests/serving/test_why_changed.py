"""Two generations through the real publication: which ranks moved, and what moved each."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.changes import Citation, Event, ItemState, Listing, Row, compare_events, explain, read_two
from tideline.commands.why_changed import why_changed
from tideline.serving import publish
from tideline.serving.pointer import NothingPublishedError, current_snapshot

DOCS = Path(__file__).resolve().parents[2] / "docs" / "why_changed.md"
EVENTS = "user_id varchar, item_id varchar, event_id varchar, event_type varchar, event_at timestamp"


def make(room, day, rows, *, events=(), closed=(), blocked=(), model="m1", rules=None):
    """Publish a night of user a. `rows`: item -> parts, best first; `events`: (id, item, hours after the first night);
    a row cites the events of its own item."""
    run = room.make_run("nightly", room.at(24 * day), {"a": 0, "b": 1})
    as_of = run.window.as_of.replace(tzinfo=None)
    told = [(key, item, room.at(hours).replace(tzinfo=None)) for key, item, hours in events]
    with duckdb.connect(str(run.warehouse)) as warehouse:
        warehouse.execute("alter table items add column available_from timestamp")
        warehouse.execute("alter table items add column available_until timestamp")
        for item in closed:
            warehouse.execute(
                "update items set is_available = false, available_until = ? where item_id = ?",
                [as_of - timedelta(hours=1), item],
            )
        for rank, (item, parts) in enumerate(rows.items(), start=1):
            because = [
                {"event_id": key, "item_id": of, "event_type": "view", "event_at": at, "part": "short",
                 "contribution": 0.5}
                for key, of, at in told if of == item
            ]  # fmt: skip
            named = [{"rule": rule, "effect": effect} for rule, effect in (rules or {}).get(item, ())]
            listed = [{"part": part, "value": float(value)} for part, value in parts.items()]
            warehouse.execute(
                "insert into nightly_recommendations "
                "values ('a', ?, ?, ?, null, null, ?, ?, 'a reason', ?, ['popular'], ?, ?, ?)",
                [rank, item, float(sum(parts.values())), listed, named, because, model, as_of, run.generation],
            )
        last = max((at for *_, at in told), default=None)
        warehouse.execute("update user_interests set last_event_at = ? where user_id = 'a'", [last])
        warehouse.execute(f"create temp table told ({EVENTS})")
        for key, item, at in told:
            warehouse.execute("insert into told values ('a', ?, ?, 'view', ?)", [item, key, at])
        run.tables.mkdir()
        for table in ("user_events", "long_window_behaviour", "short_window_behaviour"):
            warehouse.execute(f"copy told to '{run.tables / table}.parquet'")
        warehouse.execute(
            "copy (select item_id, title, is_available, list_contains($1::varchar[], item_id) as is_blocked "
            f"from items) to '{run.tables / 'dim_items'}.parquet'",
            [list(blocked)],
        )
    publish(run, room.settings)
    return run


def parts(popularity, short=0.0, **more):
    return {"base": 0, "popularity": popularity, "short": short, **more}


def listing(rows, **changes):
    """A list as it is read, without a publication."""
    event = Event("e1", "item9", "view", datetime(2000, 11, 22))
    listed = tuple(
        Row(rank, item, sum(values.values()), values) for rank, (item, values) in enumerate(rows.items(), start=1)
    )
    values = {"layer": "g", "snapshot": "g", "as_of": datetime(2000, 11, 23), "model_version": "m1", "rows": listed}
    items = {f"item{n}": ItemState(None, True, False) for n in range(10)} | {
        item: ItemState(None, True, False) for item in "pqrstuv"
    }
    return Listing(**{**values, "items": items, "events": {"e1": event}, **changes})


def causes(room, *generations):
    moves = explain(*read_two(room.settings, "a", *generations))
    return {move.item_id: (move.before, move.after, move.cause) for move in moves}


OLD = ("e1", "item9", -5)


def test_an_event_an_item_and_everyone_are_told_apart(room):
    make(room, 0, {"item1": parts(9), "item2": parts(5), "item3": parts(4), "item4": parts(1)}, events=[OLD])
    rows = {"item4": parts(1, 7), "item3": parts(6), "item2": parts(5)}
    make(room, 1, rows, events=[OLD, ("e2", "item4", 3), ("late", "item9", -9)], closed=["item1"])
    before, after = read_two(room.settings, "a")
    events = compare_events(before, after)
    assert (list(events.new), list(events.gone), events.exact) == (["late", "e2"], [], True)
    moves = {move.item_id: move for move in explain(before, after)}
    assert moves["item4"].cause == "events"
    assert (moves["item4"].before, moves["item4"].after, moves["item4"].gain) == (4, 1, 7)
    assert moves["item4"].gains == {"short": 7}
    assert (moves["item3"].before, moves["item3"].after, moves["item3"].cause) == (3, 2, "everyone")
    # Its score is the same: it lost a place to each of two, and won one by the item that went.
    assert (moves["item2"].cause, moves["item2"].detail) == ("events", "by 2 rows around, as title")
    assert (moves["item1"].cause, moves["item1"].detail) == ("items", "can no longer be had")


def test_rows_that_only_moved_up_are_laid_to_the_item_that_went(room):
    make(room, 0, {f"item{n}": parts(10 - n) for n in (1, 2, 3)})
    make(room, 1, {f"item{n}": parts(10 - n) for n in (2, 3, 4)}, closed=["item1"])
    assert causes(room) == {
        "item2": (2, 1, "items"),
        "item3": (3, 2, "items"),
        "item4": (None, 3, "items"),
        "item1": (1, None, "items"),
    }


@pytest.mark.parametrize(
    ("second", "more", "cause"),
    [
        ({"item2": parts(3), "item1": parts(2)}, {}, "everyone"),
        ({"item2": parts(1, 2), "item1": parts(2)}, {}, "time"),
        ({"item2": parts(1, co_occurrence=2), "item1": parts(2)}, {}, "everyone"),
        ({"item2": parts(1, rules=2), "item1": parts(2)}, {}, "rules"),
        ({"item2": parts(1, 2), "item1": parts(2)}, {"events": {}}, "events"),
    ],
)
def test_the_largest_difference_names_the_cause(second, more, cause):
    first = listing({"item1": parts(2), "item2": parts(1)})
    moves = explain(first, listing(second, **{"as_of": first.as_of + timedelta(days=1), **more}))
    assert {move.item_id: move.cause for move in moves}["item2"] == cause


def test_a_row_that_cited_what_was_taken_back_left_with_it():
    first = listing({"item1": parts(2), "item2": parts(1, 0.5)})
    taken = first.events["e1"]
    cites = (Citation(taken, "short", 0.5),)
    first = replace(first, rows=(first.rows[0], replace(first.rows[1], cites=cites)))
    second = listing({"item1": parts(2)}, events={})
    assert list(compare_events(first, second).gone) == ["e1"]
    (move,) = explain(first, second)
    assert (move.cause, move.detail) == ("events", "cites 1 taken back, +0.500: view of 2000-11-22 00:00")


def test_another_model_is_a_cause_of_its_own_but_not_of_what_cannot_be_had(room):
    make(room, 0, {"item1": parts(3), "item2": parts(2), "item3": parts(1)}, events=[OLD])
    make(room, 1, {"item3": parts(0.3), "item2": parts(0.2)}, events=[OLD], model="m2", closed=["item1"])
    assert causes(room) == {"item3": (3, 1, "model"), "item1": (1, None, "items")}


@given(
    st.lists(st.tuples(st.sampled_from("pqrstuv"), st.integers(0, 5)), unique_by=lambda pair: pair[0], min_size=1),
    st.lists(st.tuples(st.sampled_from("pqrstuv"), st.integers(0, 5)), unique_by=lambda pair: pair[0], min_size=1),
)
def test_exactly_the_rows_that_moved_are_told_with_differences_that_sum(first, second):
    before, after = (
        listing({item: parts(value) for item, value in sorted(rows, key=lambda pair: -pair[1])})
        for rows in (first, second)
    )
    ranks = [{item: row.rank for item, row in listed.by_item.items()} for listed in (before, after)]
    moves = explain(before, after)
    moved = {item for item in ranks[0] | ranks[1] if ranks[0].get(item) != ranks[1].get(item)}
    assert sorted(move.item_id for move in moves) == sorted(moved)
    for move in moves:
        assert (move.before, move.after) == (ranks[0].get(move.item_id), ranks[1].get(move.item_id))
        assert move.gain is None or sum(move.gains.values()) == pytest.approx(move.gain)


def test_blocked_new_and_had_items_and_a_row_without_a_known_score(room):
    first = {"item1": parts(5), "item2": parts(4), "item3": parts(3)}
    make(room, 0, first, closed=["item4"], events=[OLD])
    rows = {"item4": parts(9), "item5": parts(8)}
    make(room, 1, rows, blocked=["item1"], events=[OLD, ("e2", "item2", 2)])
    moves = {move.item_id: move for move in explain(*read_two(room.settings, "a"))}
    assert {item: (move.cause, move.detail) for item, move in moves.items()} == {
        "item4": ("items", "can be had now"),
        "item5": ("unknown", "rose by at least 5.000"),
        "item1": ("items", "blocked now"),
        "item2": ("events", "new: view of 2000-11-23 02:00 of this very item"),
        "item3": ("items", "by 2 rows around, as title"),
    }


def test_what_is_lost_with_a_run_folder_is_said_and_not_guessed(room, capsys):
    first = make(room, 0, {"item1": parts(2), "item2": parts(1)}, events=[OLD])
    make(room, 1, {"item2": parts(1, 2), "item1": parts(2)}, events=[OLD])
    shutil.rmtree(first.path)
    assert causes(room)["item2"][2] == "events or time"
    why_changed(room.settings, "a", None, None)
    out = capsys.readouterr().out
    assert f"the tables of the run of {first.generation} are not kept" in out
    assert "whether the user had new events" in out
    # What a row cites proves a new event all the same.
    make(room, 2, {"item1": parts(3), "item2": parts(1, 1)}, events=[OLD, ("e2", "item1", 30)])
    later = current_snapshot(room.serving).generation
    events = compare_events(*read_two(room.settings, "a", first.generation, later))
    assert (list(events.new), events.exact, events.changed) == (["e2"], False, True)


def test_the_default_is_the_newest_kept_list_that_is_another(room, capsys):
    night = make(room, 0, {"item1": parts(2), "item2": parts(1)})
    with pytest.raises(ValueError, match="no kept generation before"):
        read_two(room.settings, "a")
    second = make(room, 1, {"item2": parts(3), "item1": parts(2)})
    hour = room.make_run("hourly", room.at(25), {"b": 7}, base=second.run_id)
    publish(hour, room.settings)
    before, after = read_two(room.settings, "a")
    assert (before.layer, after.snapshot, after.layer) == (night.generation, hour.generation, second.generation)
    why_changed(room.settings, "a", second.generation, hour.generation)
    assert "nothing moved" in capsys.readouterr().out
    why_changed(room.settings, "a", None, None)
    assert " 2 ->  1" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no rows of user 'nobody'"):
        read_two(room.settings, "nobody")
    with pytest.raises(NothingPublishedError, match="never built"):
        read_two(room.settings, "a", "20001123T000000Z-nightly-00000000")


def test_the_query_of_the_docs_answers(room):
    make(room, 0, {"item1": parts(9), "item2": parts(5), "item3": parts(1)}, events=[OLD])
    first = current_snapshot(room.serving).path
    make(room, 1, {"item3": parts(1, 7), "item2": parts(5)}, events=[OLD, ("e2", "item3", 3)], closed=["item1"])
    second = current_snapshot(room.serving).path
    query = DOCS.read_text().split("```sql")[2].split("```")[0].replace("'12364'", "'a'")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{first}' as earlier (read_only); attach '{second}' as later (read_only)")
        assert connection.execute(query).fetchall() == [
            ("item3", 3, 1, 7, "short", 7, 1, True, True, False, False),
            ("item1", 1, None, None, None, None, None, True, False, False, False),
        ]

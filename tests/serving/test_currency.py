"""The rules of currency, one by one, as a reader sees them."""

from __future__ import annotations

import pytest

from tideline.serving import publish
from tideline.serving.manifest import base_for, read_manifest
from tideline.serving.pointer import NothingPublishedError


def test_first_nightly_becomes_current(room):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 2})
    counts = publish(night, room.settings)
    assert (counts["current"], counts["changed"], counts["rows"], counts["users"]) == (True, True, 6, 2)
    assert counts["serving"] == counts["generation"] == night.generation
    assert counts["snapshot_bytes"] == (room.serving / "current.duckdb").resolve().stat().st_size
    assert room.shown() == {"a": (1, night.generation), "b": (2, night.generation)}


def test_hour_replaces_its_own_users_only(room):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 2})
    hour = room.make_run("hourly", room.at(1), {"a": 5, "new": 7})
    publish(night, room.settings)
    counts = publish(hour, room.settings)
    assert counts["copied_bytes"] > 0
    assert room.shown() == {"a": (5, hour.generation), "b": (2, night.generation), "new": (7, hour.generation)}
    assert room.ask("select count(*) from nightly_recommendations where user_id = 'a'") == [(3,)]


def test_hours_replace_user_by_user_whatever_their_order(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1, "b": 1, "c": 1}), room.settings)
    second = room.make_run("hourly", room.at(2), {"b": 20, "c": 20})
    first = room.make_run("hourly", room.at(1), {"a": 10, "b": 10})
    publish(second, room.settings)
    counts = publish(first, room.settings)
    assert (counts["current"], counts["kept_users"]) == (True, 1)
    assert {user: score for user, (score, _) in room.shown().items()} == {"a": 10, "b": 20, "c": 20}
    assert not read_manifest(first.generation, room.settings.root).applied
    assert read_manifest(second.generation, room.settings.root).applied


def test_hour_whose_users_all_have_later_rows_is_only_stored(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    publish(room.make_run("hourly", room.at(2), {"a": 20}), room.settings)
    late = room.make_run("hourly", room.at(1), {"a": 10})
    counts = publish(late, room.settings)
    assert (counts["current"], counts["changed"]) == (False, True)
    assert room.shown()["a"][0] == 20
    assert room.shown(late.generation) == {"a": (10, late.generation)}


@pytest.mark.parametrize("hours", [0, -1])
def test_hour_not_after_the_night_is_only_stored(room, hours):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    hour = room.make_run("hourly", room.at(hours), {"a": 10})
    assert publish(hour, room.settings)["current"] is False
    assert room.shown() == {"a": (1, night.generation)}
    assert room.shown(hour.generation) == {"a": (10, hour.generation)}


def test_nightly_keeps_later_hours_and_drops_the_others(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1, "b": 1}), room.settings)
    publish(room.make_run("hourly", room.at(24), {"a": 5}), room.settings)
    late_hour = room.make_run("hourly", room.at(25), {"b": 6, "new": 7})
    publish(late_hour, room.settings)
    night = room.make_run("nightly", room.at(24), {"a": 2, "b": 2})
    assert publish(night, room.settings)["kept_users"] == 1
    kept = late_hour.generation
    assert room.shown() == {"a": (2, night.generation), "b": (6, kept), "new": (7, kept)}
    interests = dict(room.ask("select user_id, generation from user_interests"))
    assert interests == {"a": night.generation, "b": kept, "new": kept}
    assert room.ask("select generation from run_history where is_current order by as_of") == [
        (night.generation,),
        (kept,),
    ]


def test_earlier_nightly_is_stored_and_can_be_queried(room):
    current = room.make_run("nightly", room.at(24), {"a": 2})
    old = room.make_run("nightly", room.at(0), {"a": 1})
    publish(current, room.settings)
    counts = publish(old, room.settings)
    assert (counts["current"], counts["serving"]) == (False, current.generation)
    assert room.shown() == {"a": (2, current.generation)}
    assert room.shown(old.generation) == {"a": (1, old.generation)}
    assert publish(old, room.settings)["changed"] is False


@pytest.mark.parametrize("kind", ["nightly", "hourly"])
def test_rerun_changes_nothing(room, kind):
    publish(room.make_run("nightly", room.at(0), {"a": 1, "b": 2}), room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 5}), room.settings)
    run = room.make_run(
        kind, room.at(0 if kind == "nightly" else 1), {"a": 1, "b": 2} if kind == "nightly" else {"a": 5}
    )
    before = _state(room)
    counts = publish(run, room.settings)
    assert (counts["current"], counts["changed"]) == (True, False)
    assert _state(room) == before


def test_equal_rows_under_another_name_change_nothing_but_are_known(room):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    before = _state(room)
    again = room.make_run("nightly", room.at(0), {"a": 1}, token="another version", batches=("b1", "b2"))
    assert again.generation != night.generation
    counts = publish(again, room.settings)
    assert (counts["current"], counts["changed"]) == (True, False)
    assert {**_state(room), **before} == _state(room)
    assert read_manifest(again.generation, room.settings.root).same_as == night.generation
    assert room.shown(again.generation) == {"a": (1, night.generation)}


@pytest.mark.parametrize("kind", ["nightly", "hourly"])
def test_repair_of_equal_as_of_replaces_and_so_does_going_back(room, kind):
    publish(room.make_run("nightly", room.at(-24), {"a": 1, "b": 1}), room.settings)
    first = room.make_run(kind, room.at(0), {"a": 2})
    repair = room.make_run(kind, room.at(0), {"a": 3}, token="repair")
    for run, score in ((first, 2), (repair, 3), (first, 2)):
        counts = publish(run, room.settings)
        assert (counts["current"], counts["changed"]) == (True, True)
        assert room.shown()["a"] == (score, run.generation)


def test_nightly_with_equal_rows_but_other_item_titles_replaces(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    repair = room.make_run("nightly", room.at(0), {"a": 1}, title="corrected")
    assert publish(repair, room.settings)["changed"] is True
    assert room.ask("select distinct title, generation from items") == [("corrected", repair.generation)]


def test_user_whom_an_hour_leaves_without_rows_falls_back_to_the_night(room):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 5}), room.settings)
    publish(room.make_run("hourly", room.at(2), {"a": 0}), room.settings)
    assert room.shown() == {"a": (1, night.generation)}
    late = room.make_run("hourly", room.at(1), {"a": 5}, token="late")
    assert publish(late, room.settings)["current"] is False


def test_hours_before_the_first_night(room):
    with pytest.raises(NothingPublishedError, match="make run"):
        room.shown()
    first = room.make_run("hourly", room.at(1), {"a": 1}, title="old")
    second = room.make_run("hourly", room.at(2), {"b": 2}, title="new")
    for hour in (first, second):
        assert publish(hour, room.settings)["current"] is True
    assert room.shown() == {"a": (1, first.generation), "b": (2, second.generation)}
    assert room.ask("select count(*) from nightly_recommendations") == [(0,)]
    assert room.ask("select distinct title from items") == [("new",)]
    night = room.make_run("nightly", room.at(1), {"a": 3})
    publish(night, room.settings)
    assert room.shown() == {"a": (3, night.generation), "b": (2, second.generation)}


def test_intake_never_forgets_batches(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}, batches=("b1",)), room.settings)
    publish(room.make_run("hourly", room.at(25), {"a": 2}, batches=("b1", "b2", "b3")), room.settings)
    batches = "select list(batch_id order by batch_id) from {}"
    assert room.ask(batches.format("intake")) == [(["b1", "b2", "b3"],)]
    # A night that pinned its batches before the hour did, and ends after it.
    publish(room.make_run("nightly", room.at(24), {"a": 1}, batches=("b1", "b2")), room.settings)
    assert room.ask(batches.format("intake")) == [(["b1", "b2", "b3"],)]
    assert room.ask(batches.format("quarantine_summary")) == [(["b1", "b2", "b3"],)]


def test_base_of_an_hour_is_the_last_night_not_after_it(room):
    for hours in (0, 24):
        night = room.make_run("nightly", room.at(hours), {"a": 1})
        night.tables.mkdir()
        publish(night, room.settings)
    root = room.settings.root
    assert base_for(room.make_run("hourly", room.at(25), {"a": 1}), root).run_id == night.run_id
    assert base_for(room.make_run("hourly", room.at(5), {"a": 1}), root).as_of == room.at(0)
    assert base_for(room.make_run("hourly", room.at(-1), {"a": 1}), root) is None


def _state(room):
    """Everything published, by name, with the times that any write would change."""
    files = {path.name: path.lstat().st_mtime_ns for path in room.serving.glob("*.duckdb")}
    files |= {path.name: path.stat().st_mtime_ns for path in (room.serving / "generations").iterdir()}
    return {**files, "pointer": (room.serving / "current.duckdb").readlink()}

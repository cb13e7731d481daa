"""Every accepted event has exactly one outcome in a run; a run whose events do not add up stops before it publishes."""

from __future__ import annotations

import json
import shutil

import pytest

from tideline import dbt, warehouse

AS_OF = "2024-05-01"
OUTCOMES = (
    "not_yet_due",
    "too_late",
    "duplicates",
    "taken_back",
    "no_interest",
    "used_long",
    "used_short",
    "outside_windows",
)


def event(when, user="u1", **more):
    return {"user_id": user, "item_id": "i1", "event_at": when, **more}


def account(house, run) -> dict[str, int]:
    """What is not 0 in the run's account."""
    (row,) = house.table(run, "run_accounting")
    assert row["accepted"] == sum(row[name] for name in OUTCOMES)
    return {name: row[name] for name in ("accepted", *OUTCOMES) if row[name]}


def known(house, batch_id, moment):
    """Say that a run of that `as_of` was committed when the batch landed."""
    file = house.root / "lake" / "batches" / batch_id / "batch.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "known_as_of": f"{moment}T00:00:00+00:00"}))


@pytest.fixture
def shop(house):
    """Two batches with an event of each outcome, rules overlapping; u2 has but one event, u3 none of interest."""
    house.land(
        "b1",
        [
            event("2024-04-30", event_id="short"),
            event("2024-04-24", event_id="short_start"),
            event("2024-04-23 23:59:59.999999", event_id="long"),
            event("2020-01-01", event_id="before_the_long_window"),
            event("2024-05-01", event_id="waits"),
            event("2024-04-30", user="u3", event_id="shown", event_type="exposure"),
        ],
    )
    house.land(
        "b2",
        [
            event("2024-04-30", event_id="short"),
            event("2024-04-29", user="u3", event_id="shown", event_type="exposure"),
            event("2024-03-01", event_id="too_late"),
            event("2024-03-01", event_id="long"),
            event("2024-03-16", user="u2", event_id="late"),
        ],
        landed_at="2024-06-02",
    )
    known(house, "b2", "2024-04-15")
    return house


def test_the_first_outcome_that_applies_is_the_one(shop):
    night = shop.built("nightly", AS_OF, ["b1", "b2"])

    assert account(shop, night) == {
        "accepted": 11,
        "not_yet_due": 1,
        "too_late": 2,
        "duplicates": 2,
        "no_interest": 1,
        "used_long": 2,
        "used_short": 2,
        "outside_windows": 1,
    }
    assert [row["user_id"] for row in shop.table(night, "dim_users")] == ["u1", "u2"]
    assert shop.table(night, "dim_users")[1]["events"] == 1


def test_what_was_not_yet_due_is_used_later(shop):
    night = shop.built("nightly", "2024-05-02", ["b1", "b2"])

    assert "not_yet_due" not in account(shop, night)
    assert "waits" in {row["event_id"] for row in shop.table(night, "short_window_behaviour")}


def test_a_rerun_finds_the_same_events_too_late(shop):
    first = shop.built("nightly", AS_OF, ["b1", "b2"])
    shop.land("b3", [event("2019-01-01", event_id="first load of long ago")], landed_at="2024-06-03")
    again = shop.built("nightly", AS_OF, ["b1", "b2"])

    assert account(shop, again) == account(shop, first)
    assert account(shop, shop.built("nightly", AS_OF, ["b1", "b2", "b3"]))["outside_windows"] == 2


def test_the_lookback_is_a_setting(shop):
    night = shop.built("nightly", AS_OF, ["b1", "b2"], vars={"late_lookback_days": 60})

    counts = account(shop, night)
    assert "too_late" not in counts
    assert (counts["duplicates"], counts["used_long"]) == (3, 3)


def test_what_is_too_late_touches_nobody_and_is_in_no_table(shop):
    base = shop.built("nightly", AS_OF, ["b1"])
    shop.land("b4", [event("2023-01-01", user="u9", item_id="i9")], landed_at="2024-06-04")
    known(shop, "b4", AS_OF)

    hour = shop.built("hourly", "2024-05-01 10:00", ["b1", "b4"], base=base.run_id, new_batches=("b4",))
    night = shop.built("nightly", "2024-05-02", ["b1", "b4"])

    assert shop.table(hour, "dim_users") == []
    assert account(shop, night)["too_late"] == 1
    for table in ("dim_users", "dim_items", "item_popularity", "user_events"):
        assert not {"u9", "i9"} & {value for row in shop.table(night, table) for value in row.values()}


@pytest.mark.parametrize("has_base", [True, False])
def test_an_hour_answers_for_the_events_of_its_users(shop, has_base):
    base = shop.built("nightly", AS_OF, ["b1", "b2"]).run_id if has_base else None

    hour = shop.built("hourly", "2024-04-30 01:00", ["b1", "b2"], base=base)

    # u1 only: u2 and u3 did nothing of interest in the hour.
    assert account(shop, hour) == {
        "accepted": 8,
        "not_yet_due": 1,
        "too_late": 2,
        "duplicates": 1,
        "used_short": 3,
        "outside_windows": 1,
    }


def test_what_was_taken_back_is_not_lost(house):
    bought = event("2024-04-20", event_type="purchase", event_id="bought", event_value=1)
    seen = event("2024-04-20", item_id="i2", event_id="seen")
    house.land("b1", [bought, seen, event("2024-04-25", event_type="refund", event_value=1)])
    house.land("b2", [event("2024-04-26", event_type="deletion", item_id="i2"), event("2020-01-01", item_id="i2")])

    night = house.built("nightly", AS_OF, ["b1", "b2"])

    # The refund itself is of no interest; a deletion takes itself back with the rest.
    assert account(house, night) == {"accepted": 5, "taken_back": 4, "no_interest": 1}


def test_two_users_with_one_event_id_stop_nobody(house):
    house.land("b1", [event("2024-04-20", user="u1", event_id="e"), event("2024-04-20", user="u2", event_id="e")])

    night = house.built("nightly", AS_OF, ["b1"])

    assert account(house, night) == {"accepted": 2, "duplicates": 1, "used_long": 1}
    scope = [row["user_id"] for row in house.table(night, "int_users__in_scope")]
    assert [row["user_id"] for row in house.table(night, "dim_users")] == scope


def test_nobody_and_nothing_add_up_too(house):
    house.land("b1", [event("2024-06-01")])
    assert account(house, house.built("nightly", AS_OF, ["b1"])) == {"accepted": 1, "not_yet_due": 1}
    assert account(house, house.built("hourly", AS_OF, ["b1"])) == {}
    assert account(house, house.built("nightly", AS_OF, [])) == {}


def test_a_run_that_loses_an_event_stops(shop, monkeypatch, tmp_path):
    project = tmp_path / "dbt_project"
    shutil.copytree(warehouse.PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    macro = project / "macros" / "window_behaviour.sql"
    macro.write_text(macro.read_text().replace("event_at >= settings.starts_at", "event_at > settings.starts_at"))
    (shop.root / "cache").unlink()
    monkeypatch.setattr(dbt, "PROJECT", project)

    with pytest.raises(warehouse.WarehouseError, match="events_of_the_run_add_up"):
        shop.built("nightly", AS_OF, ["b1", "b2"])


def test_a_lake_that_differs_from_what_intake_counted_stops(shop):
    file = shop.root / "lake" / "batches" / "b1" / "batch.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "events": 7}))

    with pytest.raises(warehouse.WarehouseError, match="events_of_the_run_add_up"):
        shop.built("nightly", AS_OF, ["b1", "b2"])

"""What an hour reads: only its own users, with the item tables of its base nightly where there is one."""

import pytest

from tideline import warehouse


def event(user, when, item="i1", **more):
    return {"user_id": user, "item_id": item, "event_at": when, **more}


@pytest.fixture(scope="module")
def night(new_house):
    house = new_house()
    house.land(
        "b1",
        [
            *(event(f"u{n}", "2024-04-20", "i1") for n in range(4)),
            event("u0", "2024-05-01 08:59:59.999999", "i2"),
            event("u1", "2024-05-01 09:00", "i_new"),
            event("u2", "2024-05-01 09:59:59.999999", "i2"),
            event("u3", "2024-05-01 10:00", "i2"),
        ],
        [
            {"item_id": "i1", "title": "Coat", "available_until": "2024-05-01 09:30"},
            {"item_id": "i2", "title": "Hat", "available_from": "2024-05-01 09:30"},
        ],
    )
    return house, house.built("nightly", "2024-05-01", ["b1"])


@pytest.fixture(scope="module")
def hour(night):
    house, base = night
    return house.built("hourly", "2024-05-01 10:00", ["b1"], base=base.run_id)


def test_an_hour_is_for_its_own_users_and_carries_its_base(night, hour):
    house, base = night

    assert [row["user_id"] for row in house.table(hour, "dim_users")] == ["u1", "u2"]
    assert {row["user_id"] for row in house.table(hour, "int_events__deduplicated")} == {"u1", "u2"}
    assert house.table(hour, "item_popularity") == house.table(base, "item_popularity")
    assert house.table(hour, "item_trend") == house.table(base, "item_trend")


def test_an_hour_judges_availability_at_its_own_as_of(night, hour):
    house, base = night

    available = {row["item_id"]: row["is_available"] for row in house.table(hour, "dim_items")}
    assert available == {"i1": False, "i2": True, "i_new": True}
    assert {row["item_id"]: row["is_available"] for row in house.table(base, "dim_items")} == {"i1": True, "i2": False}


def test_an_hour_without_base_builds_the_item_tables_over_everyone(night):
    house, _ = night

    hour = house.built("hourly", "2024-05-01 10:00", ["b1"])

    assert [row["user_id"] for row in house.table(hour, "dim_users")] == ["u1", "u2"]
    assert {row["item_id"]: row["users"] for row in house.table(hour, "item_popularity")} == {
        "i1": 4,
        "i2": 2,
        "i_new": 1,
    }


def test_a_late_event_in_a_new_batch_touches_its_user(night):
    house, base = night
    house.land("late", [event("u9", "2023-08-01")])

    hour = house.built("hourly", "2024-05-01 12:00", ["b1", "late"], base=base.run_id, new_batches=("late",))

    assert [row["user_id"] for row in house.table(hour, "dim_users")] == ["u9"]


def test_an_hour_without_events_has_nobody(night):
    house, base = night
    hour = house.open("hourly", "2024-05-03 12:00", ["b1"], base=base.run_id)

    counts = warehouse.build_behaviour(hour, house.settings)

    assert (counts["users"], counts["long_events"], counts["short_events"]) == (0, 0, 0)


def test_a_base_that_is_gone_is_named(night):
    house, _ = night

    with pytest.raises(warehouse.WarehouseError, match="rerun that nightly"):
        house.built("hourly", "2024-05-01 10:00", ["b1"], base="nightly-20240501T000000Z-00000000")

"""Which events a run reads, and in which window they fall."""

import pytest

from tideline import warehouse

AS_OF = "2024-05-01"


def event(user, when, item="i1", **more):
    return {"user_id": user, "item_id": item, "event_at": when, **more}


def ids(rows, column="event_id"):
    return sorted(row[column] for row in rows)


@pytest.fixture(scope="module")
def nightly(new_house):
    house = new_house()
    house.land(
        "b1",
        [
            event("u1", "2023-05-01 23:59:59", event_id="before_long"),
            event("u1", "2023-05-02", event_id="long_start"),
            event("u1", "2024-04-23 23:59:59.999999", event_id="long_end"),
            event("u1", "2024-04-24", event_id="short_start"),
            event("u1", "2024-04-30 23:59:59.999999", event_id="short_end", event_text="a warm red coat"),
            event("u1", "2024-05-01", event_id="at_as_of", item="i_future"),
            event("u2", "2019-01-01", event_id="years_ago"),
            event("u3", "2024-04-30", event_id="shown", event_type="exposure"),
            event("u4", "2024-05-02", event_id="tomorrow"),
            event("u1", "2024-04-29", event_id="query", item=None, event_type="search", event_text="coat"),
            event("u1", "2024-04-29", event_id="odd", event_type="jumped_for_joy"),
        ],
        [{"item_id": "i1", "title": "Coat"}, {"item_id": "i2", "title": "Hat", "available_until": "2024-05-01"}],
    )
    return house.built("nightly", AS_OF, ["b1"])


def test_long_window_ends_where_the_short_one_begins(nightly, ask):
    long = ask(nightly, "select * from long_window_behaviour")
    short = ask(nightly, "select * from short_window_behaviour")

    assert ids(long) == ["long_end", "long_start"]
    assert ids(short) == ["odd", "query", "short_end", "short_start"]
    assert {row["window_ends_at"] for row in long} == {row["window_starts_at"] for row in short}


def test_everyone_with_an_event_of_interest_is_in_scope(nightly, ask):
    users = ask(nightly, "select * from dim_users order by user_id")

    assert [row["user_id"] for row in users] == ["u1", "u2"]
    assert (users[0]["events"], users[0]["long_events"], users[0]["short_events"], users[0]["items"]) == (7, 2, 4, 1)
    assert (users[1]["events"], users[1]["long_events"], users[1]["short_events"]) == (1, 0, 0)


def test_unknown_type_gets_the_default_weight_and_a_warning(nightly, ask):
    weights = {
        row["event_id"]: row["weight"] for row in ask(nightly, "select event_id, weight from short_window_behaviour")
    }

    assert weights["odd"] == 1
    assert ask(nightly, "select event_type from int_events__weighted where not is_known_type") == [
        {"event_type": "jumped_for_joy"}
    ]


def test_items_are_those_described_and_those_seen_before_as_of(nightly, ask):
    items = {row["item_id"]: row for row in ask(nightly, "select * from dim_items")}

    assert set(items) == {"i1", "i2"}
    assert items["i1"]["is_available"]
    assert not items["i2"]["is_available"]


def test_texts_are_those_of_the_windows(nightly, ask):
    assert ids(ask(nightly, "select * from event_texts")) == ["query", "short_end"]
    assert ids(ask(nightly, "select event_id from short_window_behaviour where has_text")) == ["query", "short_end"]


def test_exports_hold_the_same_rows(nightly, ask):
    for table in warehouse.EXPORTED:
        file = nightly.tables / f"{table}.parquet"
        assert ask(nightly, f"select * from read_parquet('{file}')") == ask(
            nightly, f"select * from {table} order by all"
        )


def test_vars_win_over_defaults(house):
    house.land(
        "b1", [event("u1", "2024-04-30", event_id="new"), event("u1", "2024-04-20", event_id="old", event_type="odd")]
    )

    given = {"short_window_days": 0.5, "default_event_weight": 0.25, "event_type_weights": {"view": 2}}
    run = house.built("nightly", AS_OF, ["b1"], vars=given)

    assert house.table(run, "short_window_behaviour") == []
    weights = {row["event_id"]: float(row["weight"]) for row in house.table(run, "long_window_behaviour")}
    assert weights == {"new": 2.0, "old": 0.25}
    assert house.table(run, "run_settings")[0]["repeats_allowed"] is True


def test_a_source_has_its_own_defaults(new_house):
    house = new_house("movielens_1m")
    house.land("b1", [event("u1", "2024-04-30")])

    settings = house.table(house.built("nightly", AS_OF, ["b1"]), "run_settings")[0]
    overridden = house.table(house.built("nightly", AS_OF, ["b1"], vars={"repeats_allowed": True}), "run_settings")[0]

    assert settings["repeats_allowed"] is False
    assert overridden["repeats_allowed"] is True


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"repeat_allowed": False}, "repeat_allowed.*repeats_allowed"),
        ({"event_type_weights": {"view": -1}}, "not_negative_int_event_weights"),
        ({"short_window_days": 400}, "windows_are_in_order"),
        ({"top_k": "many"}, "top_k must be a number"),
    ],
)
def test_wrong_vars_stop_the_run_by_name(house, given, message):
    house.land("b1", [event("u1", "2024-04-30")])

    with pytest.raises(warehouse.WarehouseError, match=message):
        house.built("nightly", AS_OF, ["b1"], vars=given)


def test_a_home_without_batches_builds_empty_tables(house):
    run = house.built("nightly", AS_OF, [])

    assert house.table(run, "dim_users") == []
    assert house.table(run, "dim_items") == []

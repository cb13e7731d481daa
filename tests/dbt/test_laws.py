"""What holds for any events: nothing from as_of on is read, and the same inputs give the same tables."""

from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tideline import warehouse

AS_OF = datetime(2024, 5, 1, 10)
TABLES = [name for name in warehouse.EXPORTED if name != "run_settings"]
slow = settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

microseconds = st.one_of(st.sampled_from([-1, 0, 1]), st.integers(-400 * 86_400 * 10**6, 3 * 86_400 * 10**6))
events = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.sampled_from(["u1", "u2", "u3"]),
            "item_id": st.sampled_from(["i1", "i2", "i3"]),
            "event_type": st.sampled_from(["view", "purchase", "exposure", "odd"]),
            "event_at": microseconds.map(lambda us: AS_OF + timedelta(microseconds=us)),
            "event_text": st.sampled_from([None, "", "a warm coat"]),
        }
    ),
    min_size=8,
    max_size=30,
)


def tables(house, run):
    return {name: house.table(run, name) for name in TABLES}


@slow
@given(events=events, kind=st.sampled_from(["nightly", "hourly"]))
def test_events_from_as_of_on_change_no_table(new_house, events, kind):
    house = new_house()
    events = [{**event, "event_id": f"e{n}"} for n, event in enumerate(events)]
    future = [{**event, "event_id": f"future{n}", "event_at": AS_OF} for n, event in enumerate(events)]
    house.land(
        "known",
        [event for event in events if event["event_at"] < AS_OF]
        or [{**events[0], "event_at": AS_OF - timedelta(days=1)}],
    )
    house.land("ahead", future + [event for event in events if event["event_at"] >= AS_OF])

    without = house.built(kind, AS_OF.isoformat(), ["known"], new_batches=("known",))
    with_future = house.built(kind, AS_OF.isoformat(), ["known", "ahead"], new_batches=("known", "ahead"))

    assert tables(house, with_future) == tables(house, without)
    assert all(row["event_at"] < AS_OF for row in house.table(with_future, "int_events__deduplicated"))


def test_a_rerun_builds_the_same_tables_from_scratch(house):
    house.land(
        "b1",
        [
            {"user_id": f"u{n % 7}", "item_id": f"i{n % 11}", "event_at": AS_OF - timedelta(hours=n * 7 + 1)}
            for n in range(300)
        ],
        [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(12)],
    )
    run = house.built("nightly", AS_OF.isoformat(), ["b1"])
    first = {name: (run.tables / f"{name}.parquet").read_bytes() for name in TABLES}
    run.warehouse.with_name("warehouse.duckdb.wal").write_bytes(b"left by a killed attempt")

    warehouse.build_behaviour(run, house.settings)

    assert {name: (run.tables / f"{name}.parquet").read_bytes() for name in TABLES} == first


def test_an_event_that_lands_again_counts_once(house):
    rows = [
        {"event_id": f"e{n}", "user_id": f"u{n % 3}", "item_id": f"i{n % 5}", "event_at": AS_OF - timedelta(days=n + 1)}
        for n in range(40)
    ]
    house.land("all", rows)
    house.land("again", [{**row, "item_id": "i_other"} for row in rows[:20]], landed_at="2024-06-02")

    once = house.built("nightly", AS_OF.isoformat(), ["all"])
    twice = house.built("nightly", AS_OF.isoformat(), ["all", "again"])

    assert tables(house, twice) == tables(house, once)

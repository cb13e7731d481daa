"""Refunds, cancellations and deletions take back what came before them, from their own instant on."""

import random
from datetime import datetime, timedelta

import pytest

from tideline import contracts, warehouse
from tideline.gates import GateError, check

START = datetime(2024, 1, 1)


def purchase(user, item, at, value=None, kind="purchase"):
    return {"user_id": user, "item_id": item, "event_at": at, "event_type": kind, "event_value": value}


def naive(events):
    """What is left of each purchase, by a stack of pieces for each user and item; events are in order."""
    left, stacks = {}, {}
    for event in events:
        stack = stacks.setdefault((event["user_id"], event["item_id"]), [])
        if event["event_type"] == "purchase":
            stack.append(event["event_id"])
            left[event["event_id"]] = event["event_value"]
            continue
        pieces = event["event_value"]
        while pieces and stack:
            taken = min(pieces, left[stack[-1]])
            left[stack[-1]] -= taken
            pieces -= taken
            if not left[stack[-1]]:
                stack.pop()
    return left


def test_any_sequence_leaves_what_a_stack_leaves(house):
    chance = random.Random(7)
    events = [
        {
            **purchase(f"u{n % 40}", f"i{n % 3}", START + timedelta(hours=n), chance.randint(1, 6)),
            "event_id": f"e{n:05}",
            "event_type": chance.choice(["purchase", "purchase", "refund", "cancellation"]),
        }
        for n in range(3_000)
    ]
    house.land("b", events)
    run = house.built("nightly", "2024-12-01", ["b"])

    left = naive(events)
    whole = {event_id for event_id, pieces in left.items() if pieces == 0}
    assert len(whole) > 500
    history = house.table(run, "int_events__in_scope")
    assert {row["event_id"]: row["event_value"] for row in history} == {
        event_id: pieces for event_id, pieces in left.items() if pieces
    }
    assert sum(row["events"] for row in house.table(run, "item_popularity")) == len(left) - len(whole)


def test_a_window_before_the_refund_still_sees_the_purchase(house):
    house.land(
        "b",
        [
            purchase("u", "kept", "2024-01-01"),
            purchase("u", "returned", "2024-01-02"),
            purchase("u", "returned", "2024-01-05 12:00", kind="refund"),
            purchase("u", "deleted", "2024-01-03", kind="view"),
            purchase("u", "deleted", "2024-01-06", kind="deletion"),
            purchase("v", "returned", "2024-01-03"),
        ],
    )
    seen = {}
    for as_of in ("2024-01-05 12:00", "2024-01-05 13:00", "2024-01-07"):
        run = house.built("nightly", as_of, ["b"])
        for table in ("short_window_behaviour", "user_events"):
            seen[as_of, table] = {row["item_id"] for row in house.table(run, table) if row["user_id"] == "u"}
        seen[as_of, "users"] = {row["item_id"]: row["users"] for row in house.table(run, "item_popularity")}

    for table in ("short_window_behaviour", "user_events"):
        assert seen["2024-01-05 12:00", table] == {"kept", "returned", "deleted"}
        assert seen["2024-01-05 13:00", table] == {"kept", "deleted"}
        assert seen["2024-01-07", table] == {"kept"}
    assert seen["2024-01-05 12:00", "users"] == {"kept": 1, "returned": 2, "deleted": 1}
    assert seen["2024-01-07", "users"] == {"kept": 1, "returned": 1}


def test_an_hour_answers_for_whoever_took_back_their_only_purchase(house):
    house.land("b", [purchase("u", "i", "2024-01-01"), purchase("v", "i", "2024-01-01")])
    house.land("late", [purchase("u", "i", "2024-01-02 09:30", kind="refund")])
    night = house.built("nightly", "2024-01-02", ["b"])

    hour = house.built("hourly", "2024-01-02 10:00", ["b", "late"], base=night.run_id, new_batches=("late",))

    (row,) = house.table(hour, "dim_users")
    assert (row["user_id"], row["events"], row["last_event_at"]) == ("u", 0, None)
    assert house.table(hour, "user_events") == []
    # Only its users' rows are read and ordered.
    assert {row["user_id"] for row in house.table(hour, "int_events__deduplicated")} == {"u"}


def test_what_takes_back_weighs_nothing_whatever_is_given(house):
    house.land("b", [purchase("u", "i", "2024-01-01")])
    with pytest.raises(warehouse.WarehouseError, match="what_takes_back_is_no_signal"):
        house.built("nightly", "2024-01-02", ["b"], vars={"event_type_weights": {"refund": 2.0}})


def test_what_was_taken_back_or_has_not_happened_may_not_be_cited(house, write_rows):
    at = START + timedelta(days=40)
    events = [
        {"event_id": "kept", **purchase("u1", "i1", START)},
        {"event_id": "gone", **purchase("u1", "i2", START)},
        {"event_id": "refund", **purchase("u1", "i2", START + timedelta(days=1), kind="refund")},
        {"event_id": "at_as_of", **purchase("u1", "i3", at)},
        {"event_id": "shown", **purchase("u1", "i3", START, kind="exposure")},
    ]
    house.land("b1", events)
    run = house.built("nightly", at.isoformat(), ["b1"])
    cited = [
        {name: event[name] for name in ("event_id", "item_id", "event_type", "event_at")}
        | {"event_at": min(event["event_at"], START), "part": "long", "contribution": 0.1}
        for event in events
    ]
    row = {"user_id": "u1", "rank": 1, "item_id": "i1", "score": 0.0, "reason": "", "model_version": "m1"}
    lists = {"score_parts": [{"part": "base", "value": 0.0}], "rules": [], "candidate_sources": ["popular"]}
    write_rows(run.scored / "part-00000.parquet", contracts.SCORED, [{**row, **lists, "because": cited}])
    warehouse.build_marts(run, house.settings)

    with pytest.raises(GateError) as caught:
        check("recommendations", run, house.settings)

    rows = {outcome.measure.name: outcome.rows for outcome in caught.value.outcomes}
    assert rows["citations_of_other_events"] == 4

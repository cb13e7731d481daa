"""Events as they were known at an instant, by the models of a run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tideline.evaluation.events import known_events
from tideline.intake import take_in

EVENTS = """user_id,item_id,event_type,event_at,event_value
ann,a,purchase,2024-01-01,1
ann,b,purchase,2024-01-02,1
ann,,search,2024-01-02,
ann,a,exposure,2024-01-03,
ann,b,refund,2024-01-10,1
bob,c,view,2024-01-10,
"""


@pytest.fixture
def settings(settings_for, land):
    land("events/events.csv", EVENTS)
    settings = settings_for()
    take_in(settings, landed_at=datetime(2024, 2, 1, tzinfo=UTC))
    return settings


def rows(table):
    return [(row["user_id"], row["item_id"], row["event_at"].day, row["weight"]) for row in table.to_pylist()]


def test_what_is_taken_back_later_is_known_before(settings):
    before = known_events(settings, datetime(2024, 1, 10))
    assert rows(before) == [("ann", "a", 1, 3.0), ("ann", "b", 2, 3.0)]
    assert rows(known_events(settings, datetime(2024, 1, 11, tzinfo=UTC))) == [
        ("ann", "a", 1, 3.0),
        ("bob", "c", 10, 1.0),
    ]
    # Nothing is left of the scratch run, and the next call reads what this one kept.
    assert list((settings.root / "runs").glob("*")) == []
    (kept,) = (settings.root / "evaluation" / "events").glob("20240110*.parquet")
    written = kept.stat().st_mtime_ns
    assert rows(known_events(settings, datetime(2024, 1, 10))) == rows(before) and kept.stat().st_mtime_ns == written


def test_vars_decide_what_counts(settings):
    weights = {"event_type_weights": {"exposure": 1.0}}
    known = known_events(settings, datetime(2024, 1, 10), weights)
    assert ("ann", "a", 3, 1.0) in rows(known)

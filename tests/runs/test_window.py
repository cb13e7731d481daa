"""A DAG run of any kind becomes a window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.window import INSTANT_PATTERN, Window, parse_instant, resolve, window_ending

MIDNIGHT = datetime(2000, 11, 23, tzinfo=UTC)


@dataclass
class DagRun:
    """The fields of Airflow's dag run that the resolver reads."""

    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    run_after: datetime | None = None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2000-11-23", MIDNIGHT),
        ("2000-11-23T10:00", MIDNIGHT.replace(hour=10)),
        ("2000-11-23T10:00:00Z", MIDNIGHT.replace(hour=10)),
        ("2000-11-23 10:00:00+02:00", MIDNIGHT.replace(hour=8)),
    ],
)
def test_an_instant_is_a_date_or_a_timestamp(text: str, expected: datetime) -> None:
    import re

    assert parse_instant(text) == expected
    assert re.match(INSTANT_PATTERN, text)


@pytest.mark.parametrize("text", ["", "yesterday", "2000-13-01", "23.11.2000"])
def test_what_is_no_instant_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ValueError, match="write 2000-11-23"):
        parse_instant(text)


def test_a_scheduled_run_takes_its_data_interval() -> None:
    run = DagRun(MIDNIGHT - timedelta(days=1), MIDNIGHT)
    assert resolve("nightly", {"dag_run": run, "params": {}}) == window_ending("nightly", MIDNIGHT)


def test_a_parameter_wins_over_the_interval() -> None:
    run = DagRun(MIDNIGHT - timedelta(days=1), MIDNIGHT)
    window = resolve("hourly", {"dag_run": run, "params": {"as_of": "2001-01-01T05:00Z"}})
    assert (window.start, window.as_of) == (datetime(2001, 1, 1, 4, tzinfo=UTC), datetime(2001, 1, 1, 5, tzinfo=UTC))
    longer = resolve("hourly", {"dag_run": run, "params": {"as_of": "2001-01-01", "window_start": "2000-12-31"}})
    assert longer.end - longer.start == timedelta(days=1)


@pytest.mark.parametrize("interval", [(None, None), (MIDNIGHT, MIDNIGHT)])
def test_a_run_without_an_interval_ends_where_it_may_start(interval: tuple[datetime | None, ...]) -> None:
    run = DagRun(*interval, run_after=MIDNIGHT)
    assert resolve("hourly", {"dag_run": run, "params": None}) == window_ending("hourly", MIDNIGHT)


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1)), st.integers(-12, 14))
def test_a_window_survives_json_and_ignores_the_time_zone_it_was_written_in(at: datetime, offset: int) -> None:
    instant = at.replace(tzinfo=timezone(timedelta(hours=offset)))
    window = window_ending("nightly", parse_instant(instant.isoformat()))
    assert Window.from_json(window.to_json()) == window
    assert window.as_of == instant


def test_a_window_never_ends_after_what_the_run_may_know() -> None:
    with pytest.raises(ValueError, match="start < end <= as_of"):
        Window("hourly", MIDNIGHT, MIDNIGHT + timedelta(hours=1), MIDNIGHT)

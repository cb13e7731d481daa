"""What came in against what came before: the volume of deliveries and windows, event types, nulls, repeats."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from embeddings.settings import Settings
from tideline.gates import check
from tideline.gates.measures import Outcome
from tideline.run import Run

Failures = Callable[[str, Run], Mapping[str, Outcome]]
FIRST, DAYS = 100_000, 1_000
"""Rows of the first load, and of each day after it."""


def events(
    count: int,
    name: str,
    *,
    day: str = "2000-11-22",
    kinds: Sequence[str] = ("rating",),
    value: float | None = 4.0,
    text: str | None = None,
) -> list[tuple]:
    """Events of a day, their types in turn."""
    return [
        (f"{name}-{number}", f"u{number % 7}", "i1", kinds[number % len(kinds)], f"{day} 10:00", value, text)
        for number in range(count)
    ]


@pytest.fixture
def deliver(made: SimpleNamespace, root: Path) -> Callable[..., str]:
    """Put a delivery of `rows` rows into the lake, of which the given events were accepted, on a day of November."""

    def delivered(name: str, day: int, rows: int, accepted: Sequence[tuple] = (), **record: Any) -> str:
        chosen = list(accepted) or events(min(rows, 5), name)
        counts = {"rows_read": rows, "accepted": rows, "events": len(chosen) if rows else 0, "table": "ratings"}
        landed_at = f"2000-11-{day:02} 01:00:00"
        made.batch(root, name, events=chosen if rows else (), record={**counts, "landed_at": landed_at, **record})
        return name

    return delivered


@pytest.fixture
def past(deliver: Callable[..., str]) -> list[str]:
    """A first load and three days."""
    return [deliver("first", 1, FIRST), *(deliver(f"day-{day}", day, DAYS) for day in (2, 3, 4))]


def run_of(made: SimpleNamespace, root: Path, past: Sequence[str], *new: str, kind: str = "nightly") -> Run:
    base = "nightly-20001122T000000Z-0123abcd" if kind == "hourly" else None
    return made.run(root, kind, batches=("items-1", *past, *new), new_batches=new, base=base)


def record_of(run: Run) -> dict[str, Any]:
    return json.loads((run.root / "data_docs" / run.run_id / "staging.json").read_text())


@pytest.mark.parametrize(("rows", "warned"), [(DAYS, False), (600, False), (400, True), (101, True), (9_900, True)])
def test_an_ordinary_delivery_passes_a_night(
    rows: int, warned: bool, made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings
) -> None:
    outcome = check("staging", run_of(made, root, past, deliver("new", 5, rows)), settings)
    assert ("nightly_delivery_ratio" in str(outcome["warned"])) == warned


@pytest.mark.parametrize("rows", [99, 1, 0, 10_001])
def test_a_drop_by_nine_tenths_or_a_tenfold_rise_stops_a_night(
    rows: int, made: SimpleNamespace, deliver: Any, past: list[str], root: Path, failures: Failures
) -> None:
    failed = failures("staging", run_of(made, root, past, deliver("new", 5, rows)))
    assert set(failed) == {"nightly_delivery_ratio"}
    assert failed["nightly_delivery_ratio"].observed == rows / DAYS
    assert f"delivered_rows {rows:,}, usual_delivery_rows 1,000" in failed["nightly_delivery_ratio"].describe()


def test_the_same_drop_warns_an_hour(
    made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings
) -> None:
    outcome = check("staging", run_of(made, root, past, deliver("new", 5, 99), kind="hourly"), settings)
    assert "(hourly_delivery_ratio): observed 0.099" in str(outcome["warned"])


def test_several_files_of_one_delivery_count_together(
    made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings
) -> None:
    parts = [deliver(f"part-{number}", 5, DAYS // 20) for number in range(20)]
    assert "delivery_ratio" not in str(check("staging", run_of(made, root, past, *parts), settings)["warned"])


def test_the_deliveries_of_several_days_are_averaged(
    made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings
) -> None:
    """After a stop, or a weekend without runs, the good deliveries carry the bad one."""
    run = run_of(made, root, past, deliver("bad", 5, 50), deliver("good", 6, DAYS))
    assert "nightly_delivery_ratio): observed" not in str(check("staging", run, settings)["warned"])


def test_files_of_items_are_no_delivery_of_events(
    made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings
) -> None:
    made.batch(root, "catalogue", items=made.items, record={"table": "films", "landed_at": "2000-11-05 01:00"})
    run = run_of(made, root, past, "catalogue")
    check("staging", run, settings)
    assert "nightly_delivery_ratio" in record_of(run)["without_past"]


def test_a_release_from_quarantine_is_no_delivery(
    made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings
) -> None:
    run = run_of(made, root, past, deliver("release", 5, 3, kind="release"))
    assert "delivery_ratio" not in str(check("staging", run, settings)["warned"])
    assert "nightly_delivery_ratio" in record_of(run)["without_past"]


@pytest.mark.parametrize("days", [0, 1, 2])
def test_a_gate_without_a_past_passes_and_says_so(
    days: int, made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    run = run_of(made, root, past[: 1 + days], deliver("new", 5, 1))
    with caplog.at_level(logging.INFO, logger="tideline.gates"):
        outcome = check("staging", run, settings)
    assert outcome["warnings"] == 0
    assert "nightly_delivery_ratio" in record_of(run)["without_past"]
    assert "hourly_delivery_ratio" not in record_of(run)["without_past"], "it is not for a night"
    assert "nightly_delivery_ratio" in caplog.text


def test_a_rerun_measures_the_same_when_more_has_landed(
    made: SimpleNamespace, deliver: Any, past: list[str], root: Path, settings: Settings
) -> None:
    run = run_of(made, root, past, deliver("new", 5, 700))
    check("staging", run, settings)
    before = record_of(run)["measured"]
    deliver("later", 6, 50_000)
    check("staging", run, settings)
    assert record_of(run)["measured"] == before


def test_an_empty_file_warns(made: SimpleNamespace, deliver: Any, root: Path, settings: Settings) -> None:
    run = run_of(made, root, ["events-1"], deliver("empty", 5, 0))
    assert "(empty_files): observed 1" in str(check("staging", run, settings)["warned"])


def weekly(weeks: Sequence[int], count: int) -> list[tuple]:
    day = datetime(2000, 11, 22)
    return [
        event
        for week in weeks
        for event in events(count, f"week-{week}", day=f"{day - timedelta(weeks=week):%F}")
    ]  # fmt: skip


@pytest.mark.parametrize(("today", "observed"), [(200, None), (19, 0.095), (0, 0.0), (2_001, 10.005)])
def test_a_window_far_from_the_same_one_of_other_weeks_warns(
    today: int, observed: float | None, made: SimpleNamespace, deliver: Any, root: Path, settings: Settings
) -> None:
    # The other days of the week are never looked at: a shop that is closed on Saturdays is no drop.
    other = events(1_000, "other", day="2000-11-21")
    past = [deliver("past", 2, 6_000, [*weekly(range(1, 6), 200), *other, *weekly([0], today)])]
    outcome = check("staging", run_of(made, root, past), settings)
    if observed is None:
        assert "window_volume_ratio" not in str(outcome["warned"])
    else:
        assert f"(window_volume_ratio): observed {observed:g}" in str(outcome["warned"])


@pytest.mark.parametrize("weeks", [range(1, 3), range(0)])
def test_few_weeks_are_no_past(
    weeks: range, made: SimpleNamespace, deliver: Any, root: Path, settings: Settings
) -> None:
    run = run_of(made, root, [deliver("past", 2, 1_000, [*weekly(weeks, 300), *weekly([0], 1)])])
    check("staging", run, settings)
    assert "window_volume_ratio" in record_of(run)["without_past"]


def test_another_mix_of_event_types_warns(made: SimpleNamespace, deliver: Any, root: Path, settings: Settings) -> None:
    past = [deliver("past", 2, 400, events(400, "past", kinds=["view", "view", "view", "purchase"]))]
    same = deliver("same", 3, 200, events(200, "same", kinds=["view", "view", "view", "purchase"]))
    other = deliver("other", 3, 200, events(200, "other", kinds=["view", "purchase"]))
    assert "event_type_distance" not in str(check("staging", run_of(made, root, past, same), settings)["warned"])
    outcome = check("staging", run_of(made, root, past, other), settings)
    assert "(event_type_distance): observed 0.25, expected at most 0.2, 200 rows" in str(outcome["warned"])


def test_few_rows_say_nothing_of_types_and_nulls(
    made: SimpleNamespace, deliver: Any, root: Path, settings: Settings
) -> None:
    past = [deliver("past", 2, 400, events(400, "past"))]
    run = run_of(made, root, past, deliver("new", 3, 99, events(99, "new", kinds=["view"], value=None)))
    check("staging", run, settings)
    assert {"event_type_distance", "null_rise_event_value"} <= set(record_of(run)["without_past"])


def test_a_column_that_went_missing_warns_and_names_both_shares(
    made: SimpleNamespace, deliver: Any, root: Path, settings: Settings
) -> None:
    past = [deliver("past", 2, 400, events(400, "past", text="liked it"))]
    run = run_of(made, root, past, deliver("new", 3, 200, events(200, "new", value=None, text="liked it")))
    warned = str(check("staging", run, settings)["warned"])
    assert "(null_rise_event_value): observed 1, expected at most 0.2, 200 rows" in warned
    assert "null_share_event_value 1, past_null_share_event_value 0" in warned
    assert "null_rise_event_text" not in warned


def test_the_same_events_under_another_name_warn(
    made: SimpleNamespace, deliver: Any, root: Path, settings: Settings
) -> None:
    again = events(200, "past")
    past = [deliver("past", 2, 200, again)]
    run = run_of(made, root, past, deliver("copy", 3, 200, again))
    assert "(repeated_share): observed 1" in str(check("staging", run, settings)["warned"])


@pytest.mark.parametrize("day", ["1970-01-01", "1900-01-01"])
def test_placeholder_dates_in_bulk_warn(
    day: str, made: SimpleNamespace, deliver: Any, root: Path, settings: Settings
) -> None:
    dated = [*events(300, "dated"), *events(10, "undated", day=day)]
    run = run_of(made, root, [], deliver("new", 3, 310, dated))
    assert "(placeholder_date_share)" in str(check("staging", run, settings)["warned"])
    few = run_of(made, root, [], deliver("few", 3, 302, [*events(300, "dated2"), *events(2, "undated2", day=day)]))
    assert "placeholder_date_share" not in str(check("staging", few, settings)["warned"])

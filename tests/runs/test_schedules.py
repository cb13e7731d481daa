"""Schedules are settings; their runs have a data interval."""

from __future__ import annotations

import pytest

from tideline.schedules import timetable


def test_a_cron_expression_gives_runs_that_answer_for_an_interval() -> None:
    from airflow.timetables.interval import CronDataIntervalTimetable

    assert isinstance(timetable("0 3 * * *"), CronDataIntervalTimetable)


def test_seconds_give_an_interval_of_that_length() -> None:
    assert timetable("every 5s")._delta.total_seconds() == 5


@pytest.mark.parametrize("schedule", ["hourly", "* * * *", "every 5m", ""])
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match="is no schedule"):
        timetable(schedule)

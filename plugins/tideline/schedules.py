"""A schedule from the settings becomes an Airflow timetable whose runs have a data interval."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.timetables.base import Timetable

EVERY = re.compile(r"^every (\d+)s$")


def timetable(schedule: str) -> Timetable:
    """Return the timetable of a cron expression in UTC, or of `every <seconds>s`.

    A bare cron string would give runs an empty data interval in Airflow 3, hence the explicit interval timetables.

    Raises
    ------
    ValueError
        If the expression is neither.
    """
    from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable

    if match := EVERY.match(schedule):
        return DeltaDataIntervalTimetable(timedelta(seconds=int(match[1])))
    if len(schedule.split()) != 5:
        raise ValueError(f"{schedule!r} is no schedule: write a cron expression of five fields, or 'every 600s'")
    return CronDataIntervalTimetable(schedule, timezone="UTC")

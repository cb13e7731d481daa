"""What all DAGs have in common, and how a schedule of the settings becomes a timetable whose runs have an interval."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from embeddings.settings import Settings
from tideline.window import INSTANT_PATTERN

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


def or_on_burst(settings: Settings) -> Any:
    """Return the hourly schedule: by the clock, and with `hourly_burst_mb` also when so much has landed since.

    A run that a burst brings about has no interval: its window is the hour up to the moment that it was made.
    """
    clock = timetable(settings.hourly_schedule)
    if not settings.hourly_burst_mb:
        return clock
    from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher

    from tideline import assets
    from tideline.burst import BurstTrigger

    watcher = AssetWatcher(name="burst", trigger=BurstTrigger(settings.hourly_burst_mb))
    return AssetOrTimeSchedule(timetable=clock, assets=[Asset(assets.burst(settings), watchers=[watcher])])


def common_arguments(settings: Settings, kind: str) -> dict[str, Any]:
    """Return the arguments that every DAG takes: tags, owner, retries, no catching up, a window by hand, who is told.

    A failed run is told, and one that is not done within the deadline of its kind, where it has one.
    """
    import pendulum
    from airflow.sdk import Param
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    from tideline.notify import Notifier

    minutes = {"nightly": settings.nightly_deadline_minutes, "hourly": settings.hourly_deadline_minutes}.get(kind)
    # From when it was queued: that is the end of its window, and a run by hand has no other date.
    late = minutes and DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=minutes),
        callback=AsyncCallback(Notifier, kwargs={"what": "late"}),
    )

    instant = {"type": ["null", "string"], "pattern": INSTANT_PATTERN, "description": "A date or an ISO 8601 timestamp"}
    return {
        "start_date": pendulum.datetime(1995, 1, 1, tz="UTC"),
        "catchup": False,
        "tags": ["tideline", kind, settings.source],
        "on_failure_callback": Notifier("failed"),
        **({"deadline": late} if late else {}),
        "default_args": {
            "owner": "data-team",
            "retries": settings.task_retries,
            "retry_delay": pendulum.duration(seconds=settings.retry_seconds),
        },
        "params": {"as_of": Param(None, **instant), "window_start": Param(None, **instant)},
    }

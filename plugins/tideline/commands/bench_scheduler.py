"""`make bench-scheduler`: how long the real scheduler takes for an hour with nothing to do, and with active users."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline import airflow_home
from tideline.commands.run import run
from tideline.commands.up import down, up
from tideline.report import print_table, row, write_report
from tideline.supervisor import ServicesError, tool

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
USERS, ACTIVE, ITEMS, EVENTS = 1_000, 100, 500, 20_000
RUN_SECONDS = 300
NEVER = "0 0 29 2 *"


def bench_scheduler(settings: Settings) -> None:
    """Publish a night of generated events in a scratch home, start the services, and time two hours by hand.

    Prints the seconds from the start to the end of each DAG run, as Airflow recorded them, with the seconds in the
    stages beside: the rest is what scheduler, executor and starting a process for each task cost.
    """
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as scratch:
        ours = settings.model_copy(
            update={
                "source": "canonical",
                "home": Path(scratch) / "home",
                "landing": Path(scratch) / "landing",
                "nightly_schedule": NEVER,
                "hourly_schedule": NEVER,
                "training_schedule": NEVER,
                "maintenance_schedule": NEVER,
                "vars": {},
            }
        )
        ours = Settings(**ours.model_dump())
        generate_events(ours.landing_path)
        run(ours, AS_OF.isoformat(), hours=0)
        figures = []
        up(ours)
        try:
            airflow_home.set_paused(False)
            for subject, as_of in (
                ("an hour with nothing to do", AS_OF + timedelta(hours=5)),
                (f"an hour with {ACTIVE} active users of {USERS:,}", AS_OF + timedelta(hours=1)),
            ):
                seconds, stages = _time_hour(ours, as_of)
                figures.append(row("seconds", subject, seconds, "s", "its stages", stages))
        finally:
            down(ours)
    print_table("Hourly runs by the scheduler", figures)
    print(f"Figures: {write_report('bench-scheduler', figures, settings)}")


def generate_events(landing: Path) -> None:
    """Write events of two months before `AS_OF`, and of the hour after it for the active users."""
    import duckdb

    for folder in ("events", "items"):
        (landing / folder).mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("select setseed(0.5)")
        connection.execute(
            f"""
            copy (select 'i' || n as item_id, 'Item number ' || n as title, 'c' || n % 20 as category
                from range({ITEMS}) as r(n)) to '{landing / "items" / "items.parquet"}'
            """
        )
        connection.execute(
            f"""
            copy (
                select 'u' || n % {USERS} as user_id, 'i' || (random() * random() * {ITEMS})::int as item_id,
                    'view' as event_type, $as_of - to_seconds(1 + random() * 86400 * 60) as event_at
                from range({EVENTS}) as r(n)
                union all
                select 'u' || n, 'i' || (random() * {ITEMS})::int, 'view', $as_of + to_seconds(random() * 3599)
                from range({ACTIVE}) as r(n)
            ) to '{landing / "events" / "events.parquet"}'
            """,
            {"as_of": AS_OF.replace(tzinfo=None)},
        )


def _time_hour(settings: Settings, as_of: datetime) -> tuple[float, float]:
    """Trigger an hour, wait for it, and return the seconds of the DAG run and of its stages."""
    # A DAG that is no longer paused runs its last interval at once: wait for that, it is not what is timed.
    time.sleep(5)
    _wait_until(lambda: not _query(settings, "select 1 from dag_run where state in ('queued', 'running')"), settings)
    run_id = f"bench-{as_of:%Y%m%dT%H%M}"
    conf = json.dumps({"as_of": as_of.isoformat()})
    command = [tool("airflow"), "dags", "trigger", "hourly_recommendations", "--run-id", run_id, "--conf", conf]
    subprocess.run(command, check=True, capture_output=True)
    ended = (
        "select state, (julianday(end_date) - julianday(start_date)) * 86400 from dag_run "
        f"where run_id = '{run_id}' and state in ('success', 'failed')"
    )
    _wait_until(lambda: _query(settings, ended), settings)
    [(state, seconds)] = _query(settings, ended)
    if state == "failed":
        raise ServicesError(f"the hourly run failed, see the logs below {settings.root / 'airflow' / 'logs'}")
    [file] = (settings.root / "runs").glob(f"hourly-{as_of:%Y%m%dT%H%M%SZ}-*/stages.jsonl")
    return seconds, sum(json.loads(line)["seconds"] for line in file.read_text().splitlines())


def _wait_until(condition: Callable[[], object], settings: Settings) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ServicesError(f"the hourly run did not end within {RUN_SECONDS} s, see {settings.root / 'airflow'}")
        time.sleep(0.5)


def _query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """Ask Airflow's own database."""
    database = settings.root / "airflow" / "airflow.db"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        return connection.execute(sql).fetchall()

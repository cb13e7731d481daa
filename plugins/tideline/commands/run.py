"""`make run`: the main job once, through Airflow itself: a night that ends at `AS_OF`, then some hours after it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import yaml

from embeddings.settings import Settings
from tideline import airflow_home
from tideline.commands.progress import POLL_SECONDS, StageWatcher
from tideline.commands.showcase import show
from tideline.report import REPOSITORY, row, write_report
from tideline.window import Kind, parse_instant

if TYPE_CHECKING:
    from airflow.sdk import DAG


class RunError(Exception):
    """The main job did not finish; the message says what to mend."""


def run(settings: Settings, as_of: str | None, hours: int) -> None:
    """Run the nightly DAG for the window that ends at `as_of`, then `hours` hourly windows, and show the result.

    Raises
    ------
    RunError
        If a DAG run fails, or if nothing says which `as_of` to take.
    ValueError
        If `as_of` is no time.
    """
    from tideline.intake import take_in

    started = time.perf_counter()
    provide_default_data(settings)
    instant = parse_instant(as_of) if as_of else default_as_of(settings)
    if instant is None:
        take_in(settings)
        instant = midnight_after_last_event(settings)
    print(f"Tideline: {settings.source}, landing {settings.landing_path}, home {settings.root}")
    # The person who typed the command is the one who retries it.
    airflow_home.enter(settings, TIDELINE_TASK_RETRIES="0", AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR")
    print("Preparing Airflow ...", flush=True)
    airflow_home.migrate(settings)
    dags = load_dags()
    prepared = time.perf_counter()
    figures = [row("seconds", "prepare", prepared - started, "s")]
    with StageWatcher(settings.root) as watcher:
        for kind, window_end in windows(instant, hours):
            figures += _run_dag(dags[f"{kind}_recommendations"], kind, window_end, watcher)
    total = time.perf_counter() - started
    figures.append(row("seconds", "total", total, "s"))
    figures.append(row("megabytes", "peak memory", max(line["peak_mb"] for line in watcher.lines), "MiB"))
    report = write_report("run", figures, settings)
    show(settings, instant, watcher)
    stages = sum(line["seconds"] for line in watcher.lines)
    dag_runs = sum(figure["value"] for figure in figures if figure["metric"] == "dag_run_seconds")
    print(
        f"\nDone in {total:.0f} s: stages {stages:.0f} s, Airflow's own overhead {dag_runs - stages:.0f} s, "
        f"getting ready {prepared - started:.0f} s. Figures: {report}"
    )


def windows(as_of: datetime, hours: int) -> list[tuple[Kind, datetime]]:
    """Return kind and end of each window in order: the night that ends at `as_of`, then the hours after it."""
    return [("nightly", as_of), *(("hourly", as_of + timedelta(hours=n + 1)) for n in range(hours))]


def provide_default_data(settings: Settings) -> None:
    """Fetch MovieLens 1M where it is the source and its landing folder was not given by the user."""
    from tideline.intake import fetch_movielens_1m

    if settings.source == "movielens_1m" and settings.landing is None:
        fetch_movielens_1m(settings.landing_path)


def default_as_of(settings: Settings) -> datetime | None:
    """Return the `default_as_of` that the source's YAML declares, if any."""
    folder = REPOSITORY / "dbt_project" / "models" / "staging" / settings.source
    for file in sorted(folder.glob("*.yml")):
        for source in (yaml.safe_load(file.read_text()) or {}).get("sources", []):
            declared = source.get("config", {}).get("meta", {}).get("default_as_of")
            if source["name"] == settings.source and declared:
                return parse_instant(str(declared))
    return None


def midnight_after_last_event(settings: Settings) -> datetime:
    """Return the first midnight (UTC) after the newest accepted event."""
    newest = newest_event_at(settings)
    if newest is None:
        raise RunError(f"no event of {settings.landing_path} was accepted, see `make sql` quarantine_summary")
    return newest.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def newest_event_at(settings: Settings) -> datetime | None:
    """Return the time of the newest accepted event in the lake (UTC), or None."""
    import duckdb

    from tideline.intake import lake_files, list_batches

    events, _ = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])
    if not events:
        return None
    query = "select strftime(max(event_at), '%Y-%m-%dT%H:%M:%S') from read_parquet($files)"
    newest = duckdb.sql(query, params={"files": [str(file) for file in events]}).fetchall()[0][0]
    return parse_instant(newest) if newest else None


def load_dags() -> dict[str, DAG]:
    """Parse the DAG files; a file that does not parse is an error."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(REPOSITORY / "dags"))
    if bag.import_errors:
        raise RunError("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
    return dict(bag.dags)


def _run_dag(dag: DAG, kind: Kind, as_of: datetime, watcher: StageWatcher) -> list[dict[str, Any]]:
    started = time.perf_counter()
    seen = len(watcher.lines)
    print(f"\n{dag.dag_id} as of {as_of:%Y-%m-%d %H:%M} UTC", flush=True)
    dag_run = dag.test(logical_date=as_of, run_conf={"as_of": as_of.isoformat()})
    seconds = time.perf_counter() - started
    time.sleep(2 * POLL_SECONDS)  # let the watcher read the last line
    own = watcher.lines[seen:]
    if dag_run.state != "success":
        failed = sorted(task.task_id for task in dag_run.get_task_instances(state=["failed"]))
        failures = [f"{line['stage']}: {line['failure']}" for line in own if line.get("failure")]
        why = "\n".join(failures) or "the log above says why"
        raise RunError(f"{dag.dag_id} as of {as_of:%Y-%m-%dT%H:%M} failed in {', '.join(failed)}.\n{why}")
    if own and own[-1]["stage"] != "publish":
        print("  nobody was active: nothing to publish, what was published stays")
    label = f"{kind} {as_of:%Y-%m-%dT%H:%M}"
    spent: dict[str, float] = {}
    for line in own:  # one line a stage, but one for each shard of `embed_shard`
        spent[line["stage"]] = spent.get(line["stage"], 0.0) + line["seconds"]
    stages = [row("seconds", f"{label} {stage}", round(value, 3), "s") for stage, value in spent.items()]
    return [*stages, row("dag_run_seconds", label, seconds, "s")]

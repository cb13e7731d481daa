"""`make run`: the main job once, through Airflow itself: a night that ends at `AS_OF`, then some hours after it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import yaml

from embeddings.settings import Settings
from tideline.commands.dag_runs import RunError, prepare, run_dag
from tideline.commands.progress import StageWatcher
from tideline.commands.showcase import show
from tideline.report import REPOSITORY, row, write_report
from tideline.window import Kind, parse_instant


def run(settings: Settings, as_of: str | None, hours: int) -> None:
    """Run the nightly DAG for the window that ends at `as_of`, then `hours` hourly windows, and show the result.

    Where no champion may serve that night and none was sought for it yet, the training DAG runs first.

    Raises
    ------
    RunError
        If a DAG run fails, or if nothing says which `as_of` to take.
    ValueError
        If `as_of` is no time.
    """
    started = time.perf_counter()
    instant = find_as_of(settings, as_of)
    print(f"Tideline: {settings.source}, landing {settings.landing_path}, home {settings.root}")
    dags = prepare(settings)
    prepared = time.perf_counter()
    figures = [row("seconds", "prepare", prepared - started, "s")]
    with StageWatcher(settings.root) as watcher:
        if is_untrained(settings, instant):
            figures += run_dag(dags, "training", instant, watcher)
        for kind, window_end in windows(instant, hours):
            figures += run_dag(dags, kind, window_end, watcher)
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


def find_as_of(settings: Settings, given: str | None) -> datetime:
    """Return the instant that a command acts for: what was given, else the source's own, else after the last event.

    Data that Tideline fetches itself are fetched first.

    Raises
    ------
    RunError
        If no event was accepted.
    ValueError
        If `given` is no time.
    """
    from tideline.intake import take_in

    provide_default_data(settings)
    instant = parse_instant(given) if given else default_as_of(settings)
    if instant is None:
        take_in(settings)
        instant = midnight_after_last_event(settings)
    return instant


def is_untrained(settings: Settings, as_of: datetime) -> bool:
    """Say whether no champion may serve `as_of`, and no version that was trained until then could become one."""
    from embeddings.model import describe_model
    from tideline.models import champion_for, list_versions

    until, model = as_of.astimezone(UTC).replace(tzinfo=None), describe_model(settings).model_id
    versions = list_versions(settings.root)
    tried = any((version.trained_until, version.card["text_model"]) == (until, model) for version in versions)
    return champion_for(settings.root, as_of, model) is None and not tried


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


def take_in_everything(settings: Settings) -> datetime:
    """Take in what has landed, the default data fetched first; return the midnight after the last event.

    Raises
    ------
    RunError
        If no event was accepted.
    """
    from tideline.intake import take_in

    provide_default_data(settings)
    take_in(settings)
    return midnight_after_last_event(settings)


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

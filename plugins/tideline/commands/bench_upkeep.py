"""`make bench-upkeep`: bytes by folder over 1,000 simulated hours, with daily maintenance and without.

Batches and run folders are written directly; publishing, merging of vectors, compaction and retention are the real
ones. Time is simulated by the times that files and records bear, so that days of retention pass in minutes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from embeddings import upkeep
from embeddings.settings import Settings
from tideline.benches import simulated_hours as simulated
from tideline.benches.simulated_hours import DAY, Hour
from tideline.benches.simulated_runs import make_run
from tideline.intake.compaction import compact_lake
from tideline.maintenance.airflow_records import remove_logs
from tideline.maintenance.forgetting import forget
from tideline.maintenance.vectors import compact_vectors
from tideline.report import row, write_report
from tideline.serving import publish
from tideline.serving.manifest import read_manifest, write_manifest
from tideline.serving.retention import pins_in_use
from tideline.serving.upgrade import open_home

CHECKPOINTS = (0.1, 0.2, 0.5, 0.75, 1.0)
LANDED, ALL = "events as landed", "all"
FOLDERS = ("lake", "quarantine", "runs", "serving", "vectors", "models", "data_docs", "airflow", "landing")
MAINTENANCE_HOUR = 4
KEEP_LANDING_DAYS = 14


def bench_upkeep(settings: Settings, hours: int) -> None:
    """Print and report the bytes of each folder after a tenth, a fifth, a half, three quarters and all of the hours.

    Through a day run folders of hours come and go: told is the fullest hour of the day up to each of these. Beside
    the folders stand all events that have landed until then, as their files weighed.

    Raises
    ------
    ValueError
        If there are fewer than 12 hours.
    """
    if hours < 12:
        raise ValueError(f"a simulation needs at least 12 hours, got {hours}")
    # Every version is minutes old here: none may be kept for a reader of the last hour.
    grace, margin = upkeep.GRACE, upkeep.MARGIN
    upkeep.GRACE, upkeep.MARGIN = timedelta(0), timedelta(seconds=1)
    try:
        kept = _simulate(settings, hours, maintained=True)
        plain = _simulate(settings, hours, maintained=False)
    finally:
        upkeep.GRACE, upkeep.MARGIN = grace, margin
    figures = []
    for at in plain:
        for name, unit in (("bytes", "B"), ("files", "files"), ("seconds", "s")):
            for folder, value in plain[at][name].items():
                without = f"{folder}, {at:,} hours, without maintenance"
                figures.append(row(name, f"{folder}, {at:,} hours", kept[at][name][folder], unit, without, value))
                figures.append(row(name, without, value, unit))
    *_, before, last = kept
    for folder, size in kept[last]["bytes"].items():
        growth = (size - kept[before]["bytes"][folder]) / (last - before)
        figures.append(row("bytes_an_hour", f"{folder}, {before:,} to {last:,} hours", round(growth, 1), "B"))
    print(f"Written: {write_report('bench-upkeep', figures, settings)}")


def _print_sizes(found: dict[int, dict[str, dict[str, float]]]) -> None:
    *_, before, last = found
    print(f"  {'MB after':18}{''.join(f'{at:>9,} h' for at in found)}   kB an hour from {before:,} to {last:,}")
    for folder in (*FOLDERS, ALL, LANDED):
        sizes = {at: found[at]["bytes"][folder] for at in found}
        growth = (sizes[last] - sizes[before]) / (last - before) / 1e3
        print(f"  {folder:18}{''.join(f'{size / 1e6:11.2f}' for size in sizes.values())}   {growth:.2f}", flush=True)


def _simulate(settings: Settings, hours: int, *, maintained: bool) -> dict[int, dict[str, dict[str, float]]]:
    """Live through the hours in a home of their own; return what was measured at each checkpoint."""
    start = (datetime.now(UTC) - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
    checkpoints = sorted({round(hours * share) for share in CHECKPOINTS})
    found: dict[int, dict[str, dict[str, float]]] = {}
    settings.root.mkdir(parents=True, exist_ok=True)
    print(
        f"{hours:,} hours of {simulated.EVENTS} events, {simulated.USERS:,} users, a night a day, "
        f"{'with' if maintained else 'without'} maintenance ...",
        flush=True,
    )
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
        given: dict[str, Any] = {"home": Path(scratch), "landing": None, "source": "canonical", "vars": {}}
        own = Settings(**{**settings.model_dump(), **given, "keep_landing_days": KEEP_LANDING_DAYS})
        open_home(own, create=True)
        batches: list[str] = []
        base: str | None = None
        seconds: list[float] = []
        landed = 0
        for number in range(hours + 1):
            hour = simulated.as_of_hour(start, number)
            batch, size = simulated.land(own, hour)
            batches, landed = [*batches, batch], landed + size
            base, spent = _live(own, hour, tuple(batches), base)
            seconds += [spent] if spent else []
            if number and number % simulated.WEEK == 0:
                simulated.train(own, hour)
            if maintained and number % DAY == MAINTENANCE_HOUR:
                _maintain(own, hour.ends)
            ahead = next(at for at in checkpoints if at >= number)
            if number and ahead - number < DAY:
                measured = _measure(own.root, seconds[-DAY:], landed)
                found[ahead] = max(found.get(ahead, measured), measured, key=lambda each: each["bytes"][ALL])
    _print_sizes(found)
    return found


def _live(settings: Settings, hour: Hour, batches: tuple[str, ...], base: str | None) -> tuple[str | None, float]:
    """Run one hour or night; return the night that the next hour rests on, and the seconds of its commit."""
    run = make_run(settings, hour, batches, base if hour.kind == "hourly" else None)
    idle = hour.kind == "hourly" and hour.number % simulated.IDLE_EVERY == 1
    if idle or (hour.kind == "hourly" and hour.number % simulated.FAILED_EVERY == 2):
        simulated.age(run, hour, ended=idle)
        return base, 0.0
    started = time.perf_counter()
    publish(run, settings)
    spent = time.perf_counter() - started
    entry = read_manifest(run.generation, settings.root)
    if entry:
        write_manifest(replace(entry, committed_at=hour.ends.isoformat()), settings.root)
    simulated.age(run, hour, ended=False)
    return (run.run_id if hour.kind == "nightly" else base), spent


def _maintain(settings: Settings, now: datetime) -> None:
    """Do what the tasks of the maintenance DAG do, at a simulated moment."""
    compact_lake(settings, now, pins_in_use(settings.root, now))
    compact_vectors(settings)
    forget(settings, now)
    remove_logs(settings.root / "airflow" / "logs", now - timedelta(days=settings.keep_log_days))


def _measure(root: Path, seconds: list[float], landed: int) -> dict[str, dict[str, Any]]:
    sizes, files = dict.fromkeys(FOLDERS, 0), dict.fromkeys(FOLDERS, 0)
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                sizes[folder] += path.stat().st_size
                files[folder] += 1
    return {
        "bytes": {**sizes, ALL: sum(sizes.values()), LANDED: landed},
        "files": {**files, ALL: sum(files.values())},
        "seconds": {"median of the last 24 commits": round(statistics.median_low(seconds), 3)},
    }

"""`make bench-upkeep`: bytes by folder over 1,000 simulated hours, with daily maintenance and without.

Batches and run folders are written directly; publishing, merging of vectors, compaction and retention are the real
ones. Time is simulated by the times that files and records bear, so that days of retention pass in minutes.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from embeddings import upkeep
from embeddings.settings import Settings
from tideline.benches import simulated_hours as simulated
from tideline.benches.simulated_hours import Hour
from tideline.intake.compaction import compact_lake
from tideline.maintenance.airflow_records import remove_logs
from tideline.maintenance.forgetting import forget
from tideline.maintenance.vectors import compact_vectors
from tideline.report import row, write_report
from tideline.serving import publish
from tideline.serving.manifest import read_manifest, write_manifest
from tideline.serving.retention import pins_in_use
from tideline.serving.upgrade import open_home

CHECKPOINTS = (0.1, 0.25, 0.5, 1.0)
FOLDERS = ("lake", "quarantine", "runs", "serving", "vectors", "models", "data_docs", "airflow", "landing")
MAINTENANCE_HOUR = 4
KEEP_LANDING_DAYS = 14


def bench_upkeep(settings: Settings, hours: int) -> None:
    """Print and report the bytes of each folder at a tenth, a quarter, a half and all of the hours.

    Raises
    ------
    ValueError
        If there are fewer than 12 hours.
    """
    if hours < 12:
        raise ValueError(f"a simulation needs at least 12 hours, got {hours}")
    figures = []
    # Every version is minutes old here: none may be kept for a reader of the last hour.
    grace, margin = upkeep.GRACE, upkeep.MARGIN
    upkeep.GRACE, upkeep.MARGIN = timedelta(0), timedelta(seconds=1)
    try:
        plain = _simulate(settings, hours, maintained=False)
        kept = _simulate(settings, hours, maintained=True)
    finally:
        upkeep.GRACE, upkeep.MARGIN = grace, margin
    for at in plain:
        for name, unit in (("bytes", "B"), ("files", "files"), ("seconds", "s")):
            for folder, value in plain[at][name].items():
                without = f"{folder}, {at:,} hours, without maintenance"
                figures.append(row(name, f"{folder}, {at:,} hours", kept[at][name][folder], unit, without, value))
                figures.append(row(name, without, value, unit))
    print(
        f"{hours:,} hours of {simulated.EVENTS} events, {simulated.USERS:,} users, a night a day. MB without -> with:"
    )
    for folder in (*FOLDERS, "all"):
        sizes = (
            f"{at:,} h {plain[at]['bytes'][folder] / 1e6:.1f} -> {kept[at]['bytes'][folder] / 1e6:.1f}" for at in plain
        )
        print(f"  {folder:12}{'   '.join(sizes)}")
    print(f"Written: {write_report('bench-upkeep', figures, settings)}")


def _simulate(settings: Settings, hours: int, *, maintained: bool) -> dict[int, dict[str, dict[str, float]]]:
    """Live through the hours in a home of their own; return what was measured at each checkpoint."""
    start = (datetime.now(UTC) - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
    checkpoints = {round(hours * share) for share in CHECKPOINTS}
    found: dict[int, dict[str, dict[str, float]]] = {}
    settings.root.mkdir(parents=True, exist_ok=True)
    print(f"{hours:,} hours {'with' if maintained else 'without'} maintenance ...", flush=True)
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
        given: dict[str, Any] = {"home": Path(scratch), "landing": None, "source": "canonical", "vars": {}}
        own = Settings(**{**settings.model_dump(), **given, "keep_landing_days": KEEP_LANDING_DAYS})
        open_home(own, create=True)
        batches: list[str] = []
        base: str | None = None
        seconds: list[float] = []
        for number in range(hours + 1):
            hour = simulated.as_of_hour(start, number)
            batches.append(simulated.land(own, hour))
            base, spent = _live(own, hour, tuple(batches), base)
            seconds += [spent] if spent else []
            if number and number % simulated.WEEK == 0:
                simulated.train(own, hour)
            if maintained and number % simulated.DAY == MAINTENANCE_HOUR:
                _maintain(own, hour.ends)
            if number in checkpoints:
                found[number] = _measure(own.root, seconds)
                seconds = []
    return found


def _live(settings: Settings, hour: Hour, batches: tuple[str, ...], base: str | None) -> tuple[str | None, float]:
    """Run one hour or night; return the night that the next hour rests on, and the seconds of its commit."""
    run = simulated.make_run(settings, hour, batches, base if hour.kind == "hourly" else None)
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


def _measure(root: Path, seconds: list[float]) -> dict[str, dict[str, Any]]:
    sizes, files = dict.fromkeys(FOLDERS, 0), dict.fromkeys(FOLDERS, 0)
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                sizes[folder] += path.stat().st_size
                files[folder] += 1
    middle = sorted(seconds)[len(seconds) // 2]
    return {
        "bytes": {**sizes, "all": sum(sizes.values())},
        "files": {**files, "all": sum(files.values())},
        "seconds": {"median commit since the figure before": round(middle, 3)},
    }

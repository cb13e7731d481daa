"""`make bench-nightly`: a whole night at three sizes, stage by stage, beside its floors; and how each stage grows.

Each size is a tenth of the next in users, items and events. A night is the stages of the nightly DAG in order, with
dbt, gates and publish, each in a process of its own, without Airflow's scheduler. Generating what lands is not timed.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline.benches.nightly_floors import Floor, measure_floors
from tideline.benches.nightly_shop import land
from tideline.report import REPOSITORY, print_table, row, write_report
from tideline.walk import STAGES

FEWEST_ITEMS = 200
STEP = 10
NIGHT = "the whole night"


@dataclass(frozen=True)
class Size:
    """How much lands."""

    users: int
    items: int
    events: int

    def divided(self, by: int) -> Size:
        """Return a size so many times smaller, of at least a small catalogue."""
        return Size(
            max(1, self.users // by), max(min(FEWEST_ITEMS, self.items), self.items // by), max(1, self.events // by)
        )


@dataclass(frozen=True)
class Night:
    """A night that was walked."""

    size: Size
    stages: dict[str, dict[str, float]]
    """What `nightly_stage` prints, by stage."""
    floors: dict[str, Floor]
    rows: int
    """Ranking rows."""


def bench_nightly(settings: Settings, users: int, items: int, events: int, steps: int) -> None:
    """Walk a night of the size, and `steps` smaller ones before it; print and report their figures.

    Raises
    ------
    ValueError
        If a size is below 1, or `steps` negative.
    RuntimeError
        If a stage fails; the message holds the end of its log.
    """
    if min(users, items, events) < 1 or steps < 0:
        raise ValueError(
            f"users, items and events must be at least 1, steps at least 0, got {users}, {items}, {events}, {steps}"
        )
    settings.root.mkdir(parents=True, exist_ok=True)
    nights: list[Night] = []
    for step in reversed(range(steps + 1)):
        size = Size(users, items, events).divided(STEP**step)
        with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
            nights.append(walk_night(Path(scratch), settings, size))
        # What is known is kept: the largest size takes most of an hour.
        figures = figures_of(nights)
        file = write_report("bench-nightly", figures, settings)
    print_table(f"A night: {users:,} users, {items:,} items, {events:,} events", figures)
    print(f"Written: {file}")


def walk_night(home: Path, settings: Settings, size: Size) -> Night:
    """Land a shop of the size in a new home, walk its first night, and measure the floors of its stages."""
    print(f"Generating {size.events:,} events of {size.users:,} users with {size.items:,} items ...", flush=True)
    land(home / "landing", settings, size.users, size.items, size.events)
    done: dict[str, dict[str, float]] = {}
    for stage in STAGES["nightly"]:
        done[stage] = _walk(stage, home, settings)
        print(f"  {stage}: {done[stage]['seconds']:.1f} s, {done[stage]['peak']:.0f} MiB", flush=True)
    [run] = (home / "runs").iterdir()
    floors, rows = measure_floors(home, run, settings)
    shutil.rmtree(home / "runs")
    return Night(size, done, floors, rows)


def figures_of(nights: list[Night]) -> list[dict[str, Any]]:
    """Return the figures of nights by ascending size: of each stage seconds, floor, memory, bytes, and its growth.

    `growth_exponent` is 1 for a stage that takes ten times as long for ten times as much.
    """
    figures = []
    for number, night in enumerate(nights):
        earlier = nights[number - 1] if number else None
        for stage in (*STAGES["nightly"], NIGHT):
            name, seconds = f"{stage}, {night.size.users:,} users", _seconds(night, stage)
            floor = night.floors.get(stage)
            if floor:
                figures.append(row("seconds", name, round(seconds, 3), "s", floor.name, floor.seconds))
                figures.append(row("seconds", f"floor of {stage}: {floor.name}", round(floor.seconds, 3), "s"))
            if earlier:
                before = _seconds(earlier, stage)
                compared = f"{stage}, {earlier.size.users:,} users"
                figures.append(row("seconds", name, round(seconds, 3), "s", compared, before))
                exponent = math.log(seconds / before) / math.log(night.size.events / earlier.size.events)
                figures.append(row("growth_exponent", f"{name}, from {earlier.size.users:,}", round(exponent, 3)))
            elif not floor:
                figures.append(row("seconds", name, round(seconds, 3), "s"))
            if stage == NIGHT:
                figures.append(row("peak_memory", name, max(done["peak"] for done in night.stages.values()), "MiB"))
            else:
                done = night.stages[stage]
                figures.append(row("peak_memory", name, round(done["peak"], 1), "MiB"))
                figures.append(row("cpu_seconds", name, round(done["cpu"], 3), "s"))
                figures.append(row("bytes_read", name, int(done["read"]), "B"))
                figures.append(row("bytes_written", name, int(done["wrote"]), "B"))
        figures.append(row("ranking_rows", f"{night.size.users:,} users", night.rows, "rows"))
    return figures


def _seconds(night: Night, stage: str) -> float:
    if stage == NIGHT:
        return sum(done["seconds"] for done in night.stages.values())
    return night.stages[stage]["seconds"]


def _walk(stage: str, home: Path, settings: Settings) -> dict[str, float]:
    given = {
        "TIDELINE_SOURCE": "canonical",
        "TIDELINE_HOME": str(home),
        "TIDELINE_CACHE": str(settings.cache_path),
        "TIDELINE_THREADS": str(settings.threads),
        "TIDELINE_MEMORY_LIMIT": settings.memory_limit,
        "TIDELINE_USER_BLOCK": str(settings.user_block),
        "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "plugins"))),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIDELINE_")}
    command = [sys.executable, "-m", "tideline.benches.nightly_stage", stage]
    ended = subprocess.run(command, env=inherited | given, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{stage} failed:\n{ended.stderr[-3000:]}")
    measured: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return measured

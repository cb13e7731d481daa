"""One run, stage by stage as Airflow's tasks do it, in a process of its own: seconds, memory and bytes written."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tideline.window import Kind, window_ending

TOKEN = "bench"  # noqa: S105  not a password: tells these runs from others


@dataclass(frozen=True)
class Timed:
    """What a run cost. The process started before the clock; libraries are imported by the stages that need them."""

    seconds: float
    """From the landed file to a row that was read."""
    stages: Mapping[str, float]
    """Seconds by stage; of `embed_shard` all shards. `copy_snapshot` runs beside those after `check_behaviour`."""
    cpu: float
    """Seconds of the processor, all threads."""
    peak: float
    """Highest resident memory of the process, MiB."""
    written: int
    """Bytes that the process gave to the system to write, copies by the kernel included."""
    copied: int
    """Of them, those of the snapshot before, copied as they are."""
    snapshot: int
    """Bytes of the snapshot that was published."""
    users: int
    """Users whose rows were replaced."""

    @property
    def computed(self) -> int:
        """Bytes written that were not copied from the snapshot before."""
        return self.written - self.copied


def time_run(environment: Mapping[str, str], kind: Kind, as_of: datetime) -> Timed:
    """Do all stages of the run that ends at `as_of`, read a row that it published, and report what that cost.

    `environment` has the settings, as `airflow_home.passed_on`. Call it in a fresh process.

    Raises
    ------
    RuntimeError
        If readers do not see rows of the run afterwards.
    """
    os.environ.update(environment)
    from embeddings.settings import load_settings
    from tideline import stages
    from tideline.commands.bench_gates import peak_megabytes
    from tideline.walk import walk

    before, started, cpu = _bytes_written(), time.perf_counter(), time.process_time()
    window = window_ending(kind, as_of)
    opened = walk(window, TOKEN, last="check_behaviour")
    # In a DAG it is a task beside the others, in a process of its own.
    copying = threading.Thread(target=stages.copy_snapshot, args=(opened,))
    if kind == "hourly":
        copying.start()
    walk(window, TOKEN, first="plan_texts", last="check_recommendations")
    if kind == "hourly":
        copying.join()
    walk(window, TOKEN, first="publish")
    begun = time.perf_counter()
    spent, published = _read_stages(load_settings().root / "runs" / opened / "stages.jsonl")
    users = _read_users(str(published["generation"]), kind)
    spent["read"] = time.perf_counter() - begun
    if not users or users != published["users"]:
        raise RuntimeError(f"readers see {users} users of {published['generation']}, expected {published['users']}")
    return Timed(
        seconds=time.perf_counter() - started,
        stages=spent,
        cpu=time.process_time() - cpu,
        peak=peak_megabytes(),
        written=_bytes_written() - before,
        copied=int(str(published["copied_bytes"])),
        snapshot=int(str(published["snapshot_bytes"])),
        users=users,
    )


def _read_stages(file: Path) -> tuple[dict[str, float], dict[str, object]]:
    """Return the seconds of each stage that a run has recorded, and what the last one counted."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    spent: dict[str, float] = {}
    for line in lines:
        spent[line["stage"]] = spent.get(line["stage"], 0.0) + line["seconds"]
    return spent, lines[-1]["rows"]


def _read_users(generation: str, kind: Kind) -> int:
    """Count, as a reader does, the users whose rows are of a generation."""
    from embeddings.settings import load_settings
    from tideline.serving.readers import connect

    with connect(load_settings()) as connection:
        query = f"select count(distinct user_id) from {kind}_recommendations where generation = ?"
        [(users,)] = connection.execute(query, [generation]).fetchall()
    return int(users)


def _bytes_written() -> int:
    """Return the bytes that this process has given to the system to write, to files mostly."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))

"""Hours for `make bench-upkeep`: what lands in a home and what is learned there, written directly."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np

from embeddings.settings import Settings
from tideline.contracts import LAKE_EVENTS, QUARANTINE, ddl
from tideline.run import Run, write_atomically
from tideline.window import Kind

USERS, ACTIVE, ITEMS, EVENTS = 2_000, 40, 200, 400
IDLE_EVERY, FAILED_EVERY, DAY, WEEK = 10, 50, 24, 168
"""Every so many hours nobody is active, or the run fails for good; nights; trainings."""
MODEL_BYTES = 1_000_000


class Hour(NamedTuple):
    """One hour of the simulation."""

    number: int
    ends: datetime

    @property
    def kind(self) -> Kind:
        """A night at every end of a day, else an hour."""
        return "nightly" if self.number % DAY == 0 else "hourly"

    def users(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Numbers of the users in scope: everyone at night, else whose turn it is."""
        if self.kind == "nightly":
            return np.arange(USERS)
        return (np.arange(ACTIVE) * 37 + self.number * 101) % USERS


def land(settings: Settings, hour: Hour) -> tuple[str, int]:
    """Write an hour's landing file, its batch and its two refused rows; return the batch's id and the file's bytes."""
    batch = f"{hour.number:016x}"
    folder = settings.root / "lake" / "batches" / batch
    folder.mkdir(parents=True)
    file = settings.landing_path / "events" / f"{hour.number:05}.parquet"
    refused = settings.root / "quarantine" / f"{batch}.parquet"
    for parent in (file.parent, refused.parent):
        parent.mkdir(parents=True, exist_ok=True)
    given = {"hour": hour.number, "ends": hour.ends.replace(tzinfo=None), "batch": batch}
    with duckdb.connect() as connection:
        connection.execute(
            f"create table events as select 'e' || md5($hour || '-' || n) as event_id, 'u' || n % {USERS} as user_id, "
            f"'i' || hash(n, $hour) % {ITEMS} as item_id, 'view' as event_type, $ends - to_seconds(n * 8) as event_at, "
            "null::double as event_value, null::varchar as event_text, 'canonical' as source, $ends as landed_at, "
            f"null::varchar as generation, $batch as batch_id from range({EVENTS}) as r(n)",
            given,
        )
        listed = ", ".join(column.name for column in LAKE_EVENTS)
        connection.execute(
            f"copy (select {listed} from events order by event_at, event_id) to '{folder / 'events.parquet'}' "
            "(format parquet, compression zstd)"
        )
        connection.execute(f"copy (select * exclude (batch_id, landed_at) from events) to '{file}' (format parquet)")
        connection.execute(f"create table refused ({ddl(QUARANTINE)})")
        connection.execute(
            "insert into refused select $batch, 'events', 'f', n, 'user_id_missing', 'no user', '{}', $ends "
            "from range(1, 3) as r(n)",
            {"batch": batch, "ends": given["ends"]},
        )
        connection.execute(f"copy refused to '{refused}' (format parquet, compression zstd)")
    stamp(file, hour.ends)
    record = {
        "batch_id": batch,
        "source": "canonical",
        "table": "events",
        "file": file.relative_to(settings.landing_path).as_posix(),
        "kind": "file",
        "landed_at": hour.ends.isoformat(),
        "bytes": file.stat().st_size,
        "mtime_ns": file.stat().st_mtime_ns,
        "rows_read": EVENTS + 2,
        "accepted": EVENTS,
        "events": EVENTS,
        "items": 0,
        "quarantined": 2,
        "ignored": 0,
        "reasons": {"user_id_missing": 2},
        "unreadable": None,
    }
    (folder / "batch.json").write_text(json.dumps(record))
    return batch, file.stat().st_size


def train(settings: Settings, hour: Hour) -> None:
    """Store a trained version and make it champion."""
    folder = settings.root / "models" / f"model-{hour.number:012x}"
    folder.mkdir(parents=True)
    (folder / "space").write_bytes(np.random.default_rng(hour.number).bytes(MODEL_BYTES))
    (folder / "card.json").write_text(json.dumps({"trained_until": hour.ends.replace(tzinfo=None).isoformat()}))
    with (folder.parent / "champions.jsonl").open("a") as stream:
        stream.write(json.dumps({"version": folder.name, "at": hour.ends.isoformat(), "reason": "bench"}) + "\n")
    stamp(folder, hour.ends)


def age(run: Run, hour: Hour, *, ended: bool) -> None:
    """Give a run's files the time that they would have; `ended` marks it as one that had nothing to publish."""
    if ended:
        write_atomically(run.path / "published.json", "{}")
    for path in (*run.path.glob("*"), run.path):
        stamp(path, hour.ends)


def stamp(path: Path, moment: datetime) -> None:
    """Set a file's time of change."""
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def as_of_hour(start: datetime, number: int) -> Hour:
    """Return an hour of a simulation that begins at `start`."""
    return Hour(number, start + timedelta(hours=number))

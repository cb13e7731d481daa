"""Hours for `make bench-upkeep`: what the stages of an hour leave in a home, written directly."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.settings import Settings
from embeddings.vector_files import to_column
from tideline.contracts import LAKE_EVENTS, QUARANTINE, SCORED, ddl
from tideline.run import Run, name_run, write_atomically
from tideline.window import Kind, window_ending

USERS, ACTIVE, ITEMS, TOP_K, EVENTS = 2_000, 40, 200, 20, 400
DIMENSION = 64
MODEL = f"generated@0/{DIMENSION}"
IDLE_EVERY, FAILED_EVERY, DAY, WEEK = 10, 50, 24, 168
"""Every so many hours nobody is active, or the run fails for good; nights; trainings."""
MODEL_BYTES, LOG_BYTES, DOCS_BYTES = 1_000_000, 2_000, 50_000
TAIL = '"as_of" timestamp, "generation" varchar'
OTHERS = {
    "popular_recommendations": f"rank integer, item_id varchar, title varchar, category varchar, score double, {TAIL}",
    "popular_by_category": f"category varchar, rank integer, item_id varchar, title varchar, {TAIL}",
    "intake": "batch_id varchar, source varchar, file varchar, rows_read bigint",
    "quarantine_summary": "batch_id varchar, file varchar, rule varchar, reason varchar, count bigint",
    "run_accounting": "accepted bigint, used_long bigint, used_short bigint, outside_windows bigint, "
    "not_yet_due bigint, too_late bigint, duplicates bigint, taken_back bigint, no_interest bigint",
    "click_through": "subject varchar, exposures bigint, clicks bigint, clicks_without_exposure bigint, "
    "click_through_rate double",
}


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


def land(settings: Settings, hour: Hour) -> str:
    """Write an hour's landing file, its batch and its two refused rows; return the batch's id."""
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
    return batch


def make_run(settings: Settings, hour: Hour, batches: tuple[str, ...], base: str | None) -> Run:
    """Write the folder of a run as the stages before `publish` leave it, and its Data Docs and logs."""
    window = window_ending(hour.kind, hour.ends)
    run = Run(
        run_id=name_run(window, "bench"),
        window=window,
        root=settings.root,
        source="canonical",
        batches=batches,
        base=base,
        generation=f"{hour.ends:%Y%m%dT%H%M%SZ}-{hour.kind}-{hour.number:08x}",
        model_version="bench",
    )
    run.save()
    (run.path / "stages.jsonl").write_text('{"stage": "rank", "seconds": 1.0, "rows": {}, "peak_mb": 80.0}\n')
    _write_warehouse(run, hour)
    _write_vectors(run, hour)
    run.tables.mkdir()
    (run.tables / "dim_items.parquet").write_bytes(bytes(ITEMS * 100))
    for name, size in ((f"data_docs/{run.run_id}/staging.html", DOCS_BYTES), (f"airflow/logs/{run.run_id}", LOG_BYTES)):
        file = settings.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
        stamp(file, hour.ends)
        stamp(file.parent, hour.ends)
    return run


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


def _write_warehouse(run: Run, hour: Hour) -> None:
    as_of = hour.ends.replace(tzinfo=None)
    given = {"users": [f"u{number}" for number in hour.users()], "as_of": as_of, "generation": run.generation}
    with duckdb.connect(str(run.warehouse)) as connection:
        for kind in ("nightly", "hourly"):
            connection.execute(f"create table {kind}_recommendations ({ddl(SCORED)}, {TAIL})")
        for table, columns in OTHERS.items():
            connection.execute(f"create table {table} ({columns})")
        connection.execute(
            f"insert into {run.kind}_recommendations "
            f"select user_id, rank::integer, 'i' || hash(user_id, rank) % {ITEMS}, "
            "1.0 / rank, null, null, [{'part': 'base', 'value': 1.0 / rank}], [], 'a reason of some length', [], "
            "['popular'], 'bench', $as_of, $generation "
            f"from (select unnest($users::varchar[]) as user_id), range(1, {TOP_K + 1}) as r(rank)",
            given,
        )
        connection.execute(
            "create table user_interests as select unnest($users::varchar[]) as user_id, 9::bigint as long_events, "
            "1::bigint as short_events, 0.5::double as gate, $as_of as last_event_at, $as_of as as_of, "
            "$generation as generation",
            given,
        )
        connection.execute(
            f"create table items as select 'i' || n as item_id, 'Title ' || n as title, true as is_available, "
            f"$as_of as as_of, $generation as generation from range({ITEMS}) as r(n)",
            {"as_of": as_of, "generation": run.generation},
        )
        connection.execute("insert into run_accounting values (46, 1, 2, 4, 5, 7, 8, 10, 9)")
        # As the mart has it: a line for each batch that was ever pinned.
        connection.execute(
            "insert into intake select unnest($batches::varchar[]), 'canonical', 'f', 400",
            {"batches": list(run.batches)},
        )


def _write_vectors(run: Run, hour: Hour) -> None:
    run.vectors.mkdir(parents=True)
    random = np.random.default_rng(hour.number)
    users = hour.users()
    column = to_column(random.standard_normal((len(users), DIMENSION), dtype=np.float32))
    table = {"user_id": [f"u{number}" for number in users], **dict.fromkeys(("long", "short", "fused"), column)}
    table |= dict.fromkeys(("gate", "long_norm", "short_norm", "fused_norm"), pa.array([0.5] * len(users)))
    table["as_of"] = pa.array([hour.ends.replace(tzinfo=None)] * len(users), pa.timestamp("us"))
    pq.write_table(pa.table({**table, "model": [MODEL] * len(users)}), run.vectors / "user_vectors.parquet")
    vectors = to_column(np.random.default_rng(0).standard_normal((ITEMS, DIMENSION), dtype=np.float32))
    items = {"item_id": [f"i{number}" for number in range(ITEMS)], "vector": vectors, "model": [MODEL] * ITEMS}
    pq.write_table(pa.table(items), run.vectors / "item_vectors.parquet")

"""`make bench-gates`: what the gates cost on generated rows, and their share of the last night of this home."""

from __future__ import annotations

import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from embeddings.settings import Settings, load_settings
from tideline.report import print_table, row, write_report
from tideline.run import Run
from tideline.window import window_ending

SQL = Path(__file__).with_name("bench_gates.sql")
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
DELIVERIES = 30
TOP_K = 20
SOURCE = "canonical"
CHECKED = (
    ("staging, all rows new", "staging", False),
    ("staging, one delivery of 30 new", "staging", True),
    ("behaviour", "behaviour", False),
    ("recommendations", "recommendations", False),
)


def bench_gates(settings: Settings, rows: int) -> None:
    """Print and report seconds and peak memory of each suite on `rows` generated events and recommendations each.

    Each suite runs in a process of its own, imports included, as a task of Airflow does.
    """
    if rows < DELIVERIES * 1000:
        raise ValueError(f"ROWS must be at least {DELIVERIES * 1000}, got {rows}")
    share = share_of_night(settings)
    settings.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as home:
        own = load_settings(home=home, source=SOURCE, vars={})
        print(f"Generating {rows:,} events in {DELIVERIES} batches, their windows, and {rows:,} recommendations ...")
        run = generate(own, rows)
        figures = [figure for label, suite, a_day in CHECKED for figure in _measure(label, suite, run, own, a_day)]
    figures += share
    print_table(f"Gates: {rows:,} generated rows; the last night of {settings.source}", figures)
    print(f"Written: {write_report('bench-gates', figures, settings)}")


def generate(settings: Settings, rows: int) -> Run:
    """Write a lake and a warehouse that every gate lets through; return the run that pins them."""
    import duckdb

    window = window_ending("nightly", AS_OF)
    batches = tuple(f"{number:016x}" for number in range(DELIVERIES + 1))
    run = Run(f"nightly-{AS_OF:%Y%m%dT%H%M%SZ}-0123abcd", window, settings.root, SOURCE, {}, batches)
    run = replace(run, generation="bench", model_version="bench")
    run.save()
    lake = settings.root / "lake" / "batches"
    config = {"threads": settings.threads, "memory_limit": settings.memory_limit}
    with duckdb.connect(str(run.warehouse), config=config) as connection:
        connection.execute("set enable_progress_bar = false")
        given = {"events": rows, "users": rows // TOP_K, "deliveries": DELIVERIES, "top_k": TOP_K}
        for name, value in {**given, "as_of": AS_OF.replace(tzinfo=None)}.items():
            connection.execute(f"set variable {name} = ?", [value])
        connection.execute(SQL.read_text())
        for number, batch in enumerate(batches):
            table = "items" if number == DELIVERIES else "events"
            (lake / batch).mkdir(parents=True)
            file = str(lake / batch / f"{table}.parquet").replace("'", "''")
            chosen = f"select * from lake.{table} where batch_id = '{batch}'"
            connection.execute(f"copy ({chosen}) to '{file}' (format parquet, compression zstd)")
            [(count, landed_at)] = connection.execute(f"select count(*), max(landed_at) from ({chosen})").fetchall()
            record = dict.fromkeys(("events", "items", "quarantined", "ignored"), 0)
            record |= {table: count, "rows_read": count, "accepted": count}
            named = {"batch_id": batch, "source": SOURCE, "file": f"{batch}.parquet", "table": table, "reasons": {}}
            (lake / batch / "batch.json").write_text(
                json.dumps({**named, **record, "landed_at": landed_at.isoformat()})
            )
    return run


def share_of_night(settings: Settings) -> list[dict[str, Any]]:
    """Return the seconds of the gates and of all stages of the newest night that was published, and their ratio."""
    nights = []
    for file in (settings.root / "runs").glob("nightly-*/stages.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        if lines and lines[-1]["stage"] == "publish" and not lines[-1].get("failure"):
            nights.append((file.stat().st_mtime_ns, file.parent.name, lines))
    if not nights:
        return []
    _, name, lines = max(nights)
    whole = sum(line["seconds"] for line in lines)
    gates = sum(line["seconds"] for line in lines if line["stage"].startswith("check_"))
    compared = row("seconds", f"gates of {name}", round(gates, 3), "s", "all stages of that night", whole)
    return [compared, row("seconds", f"all stages of {name}", round(whole, 3), "s")]


def _measure(label: str, suite: str, run: Run, settings: Settings, a_day: bool) -> list[dict[str, Any]]:
    new = run.batches[DELIVERIES - 1 : DELIVERIES] if a_day else ()
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        seconds, in_gate, megabytes = pool.submit(_check, suite, replace(run, new_batches=new), settings).result()
    return [
        row("gate_seconds", label, round(seconds, 3), "s"),
        row("gate_seconds_without_imports", label, round(in_gate, 3), "s"),
        row("peak_memory", label, round(megabytes, 1), "MiB"),
    ]


def _check(suite: str, run: Run, settings: Settings) -> tuple[float, float, float]:
    started = time.perf_counter()
    import duckdb  # noqa: F401
    import great_expectations  # noqa: F401

    from tideline.gates import check

    imported = time.perf_counter()
    check(suite, run, settings)
    ended = time.perf_counter()
    return ended - started, ended - imported, peak_megabytes()


def peak_megabytes() -> float:
    """Return the highest resident memory of this process so far. `ru_maxrss` would start from that of its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

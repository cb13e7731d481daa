"""Landings at the edges, decided on purpose (docs/data/accounting.md): nothing, one event, one huge user, changes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.intake import LandingError, files, landing, list_batches, take_in

HEADER = "event_id,user_id,item_id,event_type,event_at\n"
AS_OF = datetime(2024, 5, 1, tzinfo=UTC)


def ask(run, sql: str) -> list[tuple]:
    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_file_that_grows_while_its_hash_is_taken_waits(new_home, land, monkeypatch) -> None:
    home = new_home()
    file = land(home, "e.csv", HEADER + "e1,u,i,view,2024-04-30\n")
    original = files._hash

    def overtaken(path: Path) -> str:
        digest = original(path)
        with path.open("a") as stream:
            stream.write("e2,u,i,view,2024-04-30\n")
        return digest

    monkeypatch.setattr(files, "_hash", overtaken)
    counts = take_in(home)
    assert (counts["batches"], counts["unsettled_files"]) == (0, 1)
    monkeypatch.undo()
    counts = take_in(home)
    assert (counts["batches"], counts["rows_read"]) == (1, 2)
    assert file.exists()


def test_a_file_that_grows_while_its_rows_are_read_waits(new_home, land, monkeypatch) -> None:
    home = new_home()
    land(home, "e.csv", HEADER + "e1,u,i,view,2024-04-30\n")
    land(home, "f.csv", HEADER + "e9,u,i,view,2024-04-30\n")
    original = landing.unpack

    def overtaken(path: Path, scratch: Path) -> Path:
        if path.name == "e.csv":
            with path.open("a") as stream:
                stream.write("e2,u,i,view,2024-04-30\n")
        return original(path, scratch)

    monkeypatch.setattr(landing, "unpack", overtaken)
    counts = take_in(home)
    assert (counts["batches"], counts["rows_read"], counts["unsettled_files"]) == (1, 1, 1)
    monkeypatch.undo()
    counts = take_in(home)
    assert (counts["batches"], counts["rows_read"]) == (1, 2)
    assert sorted(batch["rows_read"] for batch in list_batches(home.root)) == [1, 2]


def test_ids_doubled_across_files_and_runs_count_once(new_home, land, commit, build) -> None:
    home = new_home()
    land(home, "e.csv", HEADER + "e1,u,i,view,2024-04-29\ne1,u,i,view,2024-04-29\n")
    land(home, "f.csv", HEADER + "e1,u,i,view,2024-04-29\n")
    take_in(home, landed_at=AS_OF)
    commit(home, AS_OF - timedelta(days=1))
    land(home, "g.csv", HEADER + "e1,u,other,view,2024-04-29\ne2,u,i,view,2024-04-29\n")
    take_in(home, landed_at=AS_OF + timedelta(hours=1))

    run = build(home, AS_OF)

    assert ask(run, "select event_id, item_id from short_window_behaviour order by all") == [("e1", "i"), ("e2", "i")]
    assert ask(run, "select accepted, duplicates, used_short from run_accounting") == [(5, 3, 2)]


def test_two_files_of_one_name_are_two_batches(new_home, land, build) -> None:
    home = new_home()
    land(home, "e.csv", HEADER + "e1,u,i,view,2024-04-29\n")
    take_in(home)
    land(home, "e.csv", HEADER + "e1,u,i,view,2024-04-29\ne2,u,i,view,2024-04-30\n")
    take_in(home)
    assert [batch["file"] for batch in list_batches(home.root)] == ["events/e.csv"] * 2
    assert ask(build(home, AS_OF), "select accepted, duplicates, used_short from run_accounting") == [(3, 1, 2)]


def test_an_empty_batch_is_a_batch_of_no_rows(new_home, land, build) -> None:
    home = new_home()
    land(home, "e.csv", HEADER)
    land(home, "nothing.csv", "")
    counts = take_in(home)
    assert [(batch["rows_read"], batch["unreadable"]) for batch in list_batches(home.root)] == [(0, None)] * 2
    assert (counts["batches"], counts["unreadable_files"], counts["rows_read"]) == (2, 0, 0)
    run = build(home, AS_OF)
    assert ask(run, "select accepted, used_short from run_accounting") == [(0, 0)]


def test_an_empty_source_says_so_and_writes_nothing(new_home) -> None:
    home = new_home()
    with pytest.raises(LandingError, match="no file for the table 'events'"):
        take_in(home)
    assert list_batches(home.root) == []


def test_a_user_with_one_event_has_a_window(new_home, land, build) -> None:
    home = new_home()
    land(home, "e.csv", HEADER + "e1,u,i,view,2024-04-30T23:59:59.999999\n")
    take_in(home)
    run = build(home, AS_OF)
    assert ask(run, "select user_id, events, long_events, short_events from dim_users") == [("u", 1, 0, 1)]
    assert ask(run, "select decay_weight > 0 from short_window_behaviour") == [(True,)]


MEASURED = """
import json, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
from embeddings.settings import Settings
from tideline import warehouse
from tideline.intake import list_batches, take_in
from tideline.run import Run, name_run
from tideline.window import window_ending

settings = Settings(source="canonical", home=Path(sys.argv[1]), memory_limit="1GB")
started = time.perf_counter()
counts = take_in(settings)
taken = time.perf_counter()
window = window_ending("nightly", datetime(2024, 5, 1, tzinfo=UTC))
batches = tuple(batch["batch_id"] for batch in list_batches(settings.root))
run = Run(name_run(window, ""), window, settings.root, "canonical", batches=batches, generation="g", model_version="m")
run.save()
built = warehouse.build_behaviour(run, settings)
print(json.dumps({
    "accepted": counts["accepted"],
    "events": built["long_events"] + built["short_events"],
    "intake_s": round(taken - started, 1),
    "behaviour_s": round(time.perf_counter() - taken, 1),
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


@pytest.mark.slow
def test_a_million_events_of_one_user_fit_in_little_memory(new_home: Callable[[], Settings]) -> None:
    home = new_home()
    query = (
        "select 'e' || n as event_id, 'everybody' as user_id, 'i' || n % 5000 as item_id, 'view' as event_type, "
        "timestamp '2024-05-01' - to_seconds(n * 30 + 1) as event_at from range(1_000_000) as numbers(n)"
    )
    duckdb.execute(f"copy ({query}) to '{home.landing_path / 'events' / 'e.parquet'}' (format parquet)")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(home.root)], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    print(figures)
    assert (figures["accepted"], figures["events"]) == (1_000_000, 1_000_000)
    # DuckDB's limit, and what Python, dbt and its parsed project take beside it.
    assert figures["peak_mib"] < 1024 + 700

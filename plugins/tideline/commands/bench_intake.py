"""`make bench-intake`: rows a second from landing to behaviour tables, against one query written by hand, in one run.

The query does the work without the trust: the same columns, row rules, de-duplication, weights, windows and history,
but no record of a row's fate, no quarantine, no lake, no tests, and it starts from nothing each time.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from embeddings.settings import Settings, load_settings
from tideline.commands.run import default_as_of, midnight_after_last_event, provide_default_data
from tideline.dbt import PROJECT
from tideline.report import print_table, row, write_report
from tideline.run import Run, name_run
from tideline.window import window_ending

BY_HAND = Path(__file__).with_name("by_hand")
COMPARED = (
    "long_window_behaviour",
    "short_window_behaviour",
    "user_events",
    "dim_users",
    "dim_items",
    "item_popularity",
    "item_trend",
)


class DifferentWorkError(ValueError):
    """The two ways gave different tables: their times say nothing."""


def bench_intake(settings: Settings) -> None:
    """Print and report seconds and rows a second of both ways; their tables must have the same rows.

    Raises
    ------
    ValueError
        If nobody has written the query for this source.
    DifferentWorkError
        If a table has another number of rows.
    """
    query = BY_HAND / f"{settings.source}.sql"
    if not query.exists():
        known = ", ".join(sorted(file.stem for file in BY_HAND.glob("*.sql") if file.stem != "behaviour"))
        raise ValueError(f"there is no query by hand for {settings.source} ({query}); there is one for {known}")
    provide_default_data(settings)
    settings.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
        first, second = (
            load_settings(home=Path(scratch) / name, landing=settings.landing_path) for name in ("first", "second")
        )
        cold_intake, cold_build, run, rows = _ours(first)
        # What dbt has parsed is kept from run to run in a home, and the second pass has its imports done.
        shutil.copytree(first.root / "cache", second.root / "cache")
        intake, build, _, _ = _ours(second)
        by_hand, counted = min(_by_hand(settings, run, query, Path(scratch) / f"{n}.duckdb") for n in range(3))
        _check_rows(run, counted)
    ours = intake + build
    compared = ("one query by hand", by_hand)
    figures = [
        row("seconds", "landing to behaviour", round(ours, 3), "s", *compared),
        row("seconds", "of these take_in", round(intake, 3), "s", *compared),
        row("seconds", "of these build_behaviour", round(build, 3), "s", *compared),
        row("seconds", "one query by hand (best of 3)", round(by_hand, 3), "s"),
        row("seconds", "first time in a process", round(cold_intake + cold_build, 3), "s", *compared),
        row("rows_per_second", "landing to behaviour", round(rows / ours), "rows/s", compared[0], rows / by_hand),
        row("rows_per_second", "one query by hand", round(rows / by_hand), "rows/s"),
        row("rows_read", settings.source, rows, "rows"),
        *(row("rows_in_both", table, count, "rows") for table, count in counted.items()),
    ]
    print_table(f"Landing to behaviour tables: {settings.source}", figures)
    print(f"Written: {write_report('bench-intake', figures, settings)}")


def _ours(settings: Settings) -> tuple[float, float, Run, int]:
    """Return seconds of the intake and of the build, the run, and the rows read."""
    from tideline.intake import list_batches, take_in
    from tideline.warehouse import build_behaviour

    started = time.perf_counter()
    rows = take_in(settings)["rows_read"]
    taken_in = time.perf_counter() - started
    window = window_ending("nightly", default_as_of(settings) or midnight_after_last_event(settings))
    batches = tuple(batch["batch_id"] for batch in list_batches(settings.root))
    run = Run(
        name_run(window, "bench"), window, settings.root, settings.source, batches=batches,
        generation="bench", model_version="bench",
    )  # fmt: skip
    run.save()
    started = time.perf_counter()
    build_behaviour(run, settings)
    return taken_in, time.perf_counter() - started, run, rows


def _by_hand(settings: Settings, run: Run, query: Path, database: Path) -> tuple[float, dict[str, int]]:
    """Return the seconds of the query and the rows of its tables. Its windows are those of the run's settings."""
    import duckdb

    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        cursor = connection.execute("select * from run_settings")
        names = [column[0] for column in cursor.description or ()]
        [values] = cursor.fetchall()
    given = dict(zip(names, values, strict=True))
    given |= {"landing": str(settings.landing_path), "event_weights": str(PROJECT / "seeds" / "event_weights.csv")}
    config = {"threads": settings.threads, "memory_limit": settings.memory_limit, "preserve_insertion_order": False}
    with duckdb.connect(str(database), config=config) as connection:
        for name, value in given.items():
            connection.execute(f"set variable {name} = ?", [value])
        started = time.perf_counter()
        connection.execute(query.read_text())
        connection.execute((BY_HAND / "behaviour.sql").read_text())
        seconds = time.perf_counter() - started
        return seconds, {table: _count(connection, table) for table in COMPARED}


def _check_rows(run: Run, by_hand: dict[str, int]) -> None:
    import duckdb

    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        ours = {table: _count(connection, table) for table in COMPARED}
    if different := [
        f"{table}: {ours[table]} and {by_hand[table]}" for table in COMPARED if ours[table] != by_hand[table]
    ]:
        raise DifferentWorkError(f"the pipeline and the query by hand differ: {'; '.join(different)} rows")


def _count(connection: object, table: str) -> int:
    return int(connection.execute(f'select count(*) from "{table}"').fetchone()[0])  # type: ignore[attr-defined]

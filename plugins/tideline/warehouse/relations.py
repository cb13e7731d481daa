"""What a run's warehouse holds beside dbt's models: views over Parquet on the way in, Parquet files on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embeddings.failpoints import failpoint
from embeddings.settings import Settings
from tideline import contracts
from tideline.dbt import WarehouseError
from tideline.run import Run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ITEM_TABLES = {"int_items__known": "dim_items", "item_popularity": "item_popularity", "item_trend": "item_trend"}
"""Models over all users and items, which an hour does not build; for each the table of its base that it reads."""

_COUNTS = ("rows_read", "accepted", "quarantined", "ignored", "events", "items")


@contextmanager
def connect(run: Run, settings: Settings) -> Iterator[DuckDBPyConnection]:
    """Open the run's warehouse for writing, with the threads and memory of the settings."""
    import duckdb

    config = {"threads": settings.threads, "memory_limit": settings.memory_limit, "preserve_insertion_order": False}
    with duckdb.connect(str(run.warehouse), config=config) as connection:
        yield connection


def prepare(run: Run, settings: Settings) -> None:
    """Start the run's warehouse afresh: the schemas `lake` and `run` that dbt's sources name, from `run` alone.

    Raises
    ------
    WarehouseError
        If a table of the base nightly is gone.
    """
    # A stale log beside a new file would be replayed into it.
    for file in (run.warehouse, Path(f"{run.warehouse}.wal")):
        file.unlink(missing_ok=True)
    run.path.mkdir(parents=True, exist_ok=True)
    with connect(run, settings) as connection:
        connection.execute("create schema lake; create schema run")
        _show_lake(connection, run)
        connection.execute(
            "create table run.run_window (run_id varchar, kind varchar, starts_at timestamp, ends_at timestamp, "
            "as_of timestamp, generation varchar, model_version varchar, source varchar, builds_item_tables boolean)"
        )
        window = run.window
        connection.execute(
            "insert into run.run_window values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(run.run_id, run.kind),
                *(_naive(moment) for moment in (window.start, window.end, window.as_of)),
                *(run.generation, run.model_version, run.source, run.base is None),
            ],
        )
        connection.execute(
            "create table run.batches "
            "(batch_id varchar, landed_at timestamp, is_new boolean, known_as_of timestamp, events bigint)"
        )
        batches = [(b["batch_id"], b["landed_at"], b["is_new"], b["known_as_of"], b["events"]) for b in _pinned(run)]
        _insert(connection, "run.batches", batches)
        if run.base_tables:
            _carry(connection, run.base_tables)


def attach_results(run: Run, settings: Settings) -> None:
    """Give dbt what Python made: scored, shown and gates as views of schema `run`, and the intake of the batches.

    Raises
    ------
    WarehouseError
        If there are no ranked rows.
    """
    from tideline.intake.quarantine import count_decided
    from tideline.intake.rules import sentence
    from tideline.serving.shown import shown_files

    parts = sorted(run.scored.glob("part-*.parquet"))
    if not parts:
        # `rank` writes a part even for nobody; while another attempt of the run replaces them there may be none.
        raise WarehouseError(f"no ranked rows in {run.scored}: run `rank` again, then this stage")
    pinned = _pinned(run)
    with connect(run, settings) as connection:
        _show_lake(connection, run)  # again: batches may have moved into a pack since
        _view(connection, "run.scored", contracts.SCORED, parts)
        gates = tuple(column for column in contracts.USER_VECTORS if column.name in ("user_id", "gate"))
        file = run.vectors / "user_vectors.parquet"
        _view(connection, "run.user_gates", gates, [file] if file.exists() else [])
        named = connection.execute(
            "select distinct generation from int_events__shown where generation is not null"
        ).fetchall()
        _view(connection, "run.shown", contracts.SHOWN, shown_files(run.root, (name for (name,) in named)))
        decided = count_decided(run.root, pinned)
        connection.execute(
            "create or replace table run.intake (batch_id varchar, source varchar, kind varchar, file varchar, "
            f"landed_at timestamp, {', '.join(f'{name} bigint' for name in _COUNTS)}, "
            "released bigint, discarded bigint, is_new boolean)"
        )
        batches = [
            (
                *(batch["batch_id"], batch["source"], batch.get("kind", "file"), batch["file"], batch["landed_at"]),
                *(batch[name] for name in _COUNTS),
                *(sum(decided.get((batch["batch_id"], rule), (0, 0))[n] for rule in batch["reasons"]) for n in (0, 1)),
                batch["is_new"],
            )
            for batch in pinned
        ]
        _insert(connection, "run.intake", batches)
        connection.execute(
            "create or replace table run.quarantine_summary "
            "(batch_id varchar, file varchar, rule varchar, reason varchar, count bigint, released bigint, "
            "discarded bigint)"
        )
        refused = [
            (
                *(batch["batch_id"], batch["file"], rule, sentence(rule), rows),
                *decided.get((batch["batch_id"], rule), (0, 0)),
            )
            for batch in pinned
            for rule, rows in batch["reasons"].items()
        ]
        _insert(connection, "run.quarantine_summary", refused)


def export(run: Run, tables: Iterable[str], settings: Settings) -> None:
    """Copy tables to `run.tables`, one `<table>.parquet` each, ordered by all columns: equal tables, equal files."""
    run.tables.mkdir(parents=True, exist_ok=True)
    with connect(run, settings) as connection:
        for table in tables:
            part = run.tables / f".{table}.part"
            connection.execute(
                f'copy (select * from "{table}" order by all) to {_literal(part)} (format parquet, compression zstd)'
            )
            failpoint("tables.export.before")
            part.replace(run.tables / f"{table}.parquet")
            failpoint("tables.export.after")


def count(run: Run, tables: Mapping[str, str]) -> dict[str, int]:
    """Count the rows of tables: the name to report, the table."""
    import duckdb

    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        rows = {
            name: connection.execute(f'select count(*) from "{table}"').fetchone() for name, table in tables.items()
        }
    return {name: row[0] if row else 0 for name, row in rows.items()}


def _show_lake(connection: DuckDBPyConnection, run: Run) -> None:
    from tideline.intake import lake_rows

    for table, columns in (("events", contracts.LAKE_EVENTS), ("items", contracts.LAKE_ITEMS)):
        _view_of(connection, f"lake.{table}", columns, lake_rows(run.root, run.batches, table))
    _show_arrivals(connection, run)


def _view(
    connection: DuckDBPyConnection, name: str, columns: tuple[contracts.Column, ...], files: Iterable[Path]
) -> None:
    """Create a view with these columns over Parquet files, or an empty one where there are none."""
    paths = ", ".join(_literal(file) for file in files)
    _view_of(connection, name, columns, f"select * from read_parquet([{paths}])" if paths else None)


def _view_of(
    connection: DuckDBPyConnection, name: str, columns: tuple[contracts.Column, ...], rows: str | None
) -> None:
    if rows:
        listed = ", ".join(f'"{column.name}"' for column in columns)
        body = f"select {listed} from ({rows})"
    else:
        listed = ", ".join(f'cast(null as {column.type}) as "{column.name}"' for column in columns)
        body = f"select {listed} where false"
    connection.execute(f"create or replace view {name} as {body}")


def _show_arrivals(connection: DuckDBPyConnection, run: Run) -> None:
    """Show what may touch a user of an hour: the rows of its window and those of new batches.

    The window stands in the view as it is, so that of the other files only the statistics of event_at are read.
    """
    from tideline.intake import lake_rows

    if run.kind != "hourly":
        _view_of(connection, "lake.arrivals", contracts.LAKE_EVENTS, None)
        return
    _view_of(connection, "lake.new_events", contracts.LAKE_EVENTS, lake_rows(run.root, run.new_batches, "events"))
    start, end = (f"timestamp '{_naive(moment):%Y-%m-%d %H:%M:%S.%f}'" for moment in (run.window.start, run.window.end))
    connection.execute(
        f"create or replace view lake.arrivals as from lake.events where event_at >= {start} and event_at < {end} "
        "union all from lake.new_events"
    )


def _carry(connection: DuckDBPyConnection, base: Path) -> None:
    for model, table in ITEM_TABLES.items():
        file = base / f"{table}.parquet"
        if not file.exists():
            raise WarehouseError(f"the base nightly's table {file} is gone: rerun that nightly, then this hour")
        # An hour judges them by its own as_of and settings.
        listed = "columns(name -> name not in ('is_available', 'is_blocked'))" if table == "dim_items" else "*"
        connection.execute(f'create view "{model}" as select {listed} from read_parquet({_literal(file)})')


def _pinned(run: Run) -> list[dict[str, Any]]:
    """Return the `batch.json` of each pinned batch, `is_new` added and times as UTC without a zone."""
    from tideline.intake import list_batches

    wanted, new = set(run.batches), set(run.new_batches)
    return [
        {
            **batch,
            "is_new": batch["batch_id"] in new,
            "landed_at": _naive(batch["landed_at"]),
            # A batch of before lateness was recorded is never late.
            "known_as_of": _naive(batch["known_as_of"]) if batch.get("known_as_of") else None,
        }
        for batch in list_batches(run.root)
        if batch["batch_id"] in wanted
    ]


def _insert(connection: DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows at once: one by one takes half a millisecond each, and every batch that ever landed has one."""
    if not rows:
        return
    import pyarrow as pa

    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    connection.register("arriving_rows", pa.table(columns, [f"c{number}" for number in range(len(columns))]))
    connection.execute(f"insert into {table} select * from arriving_rows")
    connection.unregister("arriving_rows")


def _naive(moment: datetime | str) -> datetime:
    value = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

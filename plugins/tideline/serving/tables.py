"""The published tables: their order on disk, comments, the view `recommendations`, and the desk they are moved on.

A desk is one in-memory DuckDB connection that sees the run's warehouse as `built`, the current snapshot as `present`
(both read-only) and the snapshot being made as `next`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from embeddings.settings import Settings
from tideline.contracts import QUALITY_METRICS, RUN_HISTORY, Column
from tideline.run import Run

ORDER = {
    "nightly_recommendations": "user_id, rank",
    "hourly_recommendations": "user_id, rank",
    "user_interests": "user_id",
    "popular_recommendations": "rank",
    "popular_by_category": "category, rank",
    "items": "item_id",
    "intake": "batch_id",
    "quarantine_summary": "batch_id, rule",
}
"""Tables that a run's warehouse gives, each with its order on disk: a user's rows are beside each other."""

NIGHTLY_BY_USER = "nightly_by_user"
"""Name of the index."""

WRITTEN = {
    "run_history": (RUN_HISTORY, "Grain: one generation that a run has built, current or only stored."),
    "quality_metrics": (
        QUALITY_METRICS,
        "Grain: one metric, subject and generation. Measured after the fact or on publish.",
    ),
}
"""Tables that publishing writes itself."""

VIEW = """
create or replace view recommendations as
select * from hourly_recommendations
union all
select * from nightly_recommendations as nightly
where not exists (select 1 from hourly_recommendations as hourly where hourly.user_id = nightly.user_id)
"""
VIEW_COMMENT = (
    "Grain: one user and rank. For each user the newest layer that has rows: the hourly one, else the nightly one."
)


class WarehouseIncompleteError(RuntimeError):
    """The run's warehouse lacks a table or holds the rows of another run; the message says which."""


@contextmanager
def open_desk(run: Run, settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a desk with the run's warehouse as `built`.

    Raises
    ------
    WarehouseIncompleteError
        If the warehouse or one of its published tables is missing.
    """
    if not run.warehouse.exists():
        raise WarehouseIncompleteError(f"{run.warehouse} is missing: rerun the run from its first task")
    spill = run.path / "publish.tmp"
    config = {"threads": settings.threads, "memory_limit": settings.memory_limit, "temp_directory": str(spill)}
    try:
        with duckdb.connect(config=config) as desk:
            attach(desk, run.warehouse, "built", read_only=True)
            found = "select table_name from duckdb_tables() where database_name = 'built' and schema_name = 'main'"
            missing = {*ORDER, "run_accounting", "click_through"} - {row[0] for row in desk.execute(found).fetchall()}
            if missing:
                raise WarehouseIncompleteError(
                    f"{run.warehouse} lacks {', '.join(sorted(missing))}: build the marts first"
                )
            yield desk
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def attach(desk: duckdb.DuckDBPyConnection, file: Path, name: str, *, read_only: bool) -> None:
    """Attach a database file to the desk."""
    desk.execute(f"attach {literal(str(file))} as {name}{' (read_only)' if read_only else ''}")


@contextmanager
def transaction(desk: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Make changes of one database as one transaction: each alone would wait for the disk, which only `seal` must."""
    desk.execute("begin")
    try:
        yield
    except BaseException:
        desk.execute("rollback")
        raise
    desk.execute("commit")


def copy_table(desk: duckdb.DuckDBPyConnection, origin: str, table: str, *, empty: bool = False) -> None:
    """Copy a table with its comments from an attached database into `next`, ordered; `empty` copies no rows."""
    condition = "where false" if empty else f"order by {ORDER[table]}"
    desk.execute(f"create or replace table next.{table} as select * from {origin}.{table} {condition}")
    row = desk.execute(
        "select comment from duckdb_tables() where database_name = ? and schema_name = 'main' and table_name = ?",
        [origin, table],
    ).fetchone()
    _comment(desk, "table", table, row[0] if row else None, columns(desk, origin, table))


def create_written(desk: duckdb.DuckDBPyConnection, table: str, source: str) -> None:
    """Create a table that publishing writes itself in `next`, from a relation with its columns."""
    contract: tuple[Column, ...]
    contract, comment = WRITTEN[table]
    listed = ", ".join(f'cast("{column.name}" as {column.type}) as "{column.name}"' for column in contract)
    desk.execute(f"create or replace table next.{table} as select {listed} from {source}")
    _comment(desk, "table", table, comment, {column.name: column.comment for column in contract})


def index_users(desk: duckdb.DuckDBPyConnection, database: str | None = None) -> None:
    """Index the nightly rows by user, once they are in: those of an attached database, or of the connection's own.

    The order alone lets a lookup skip most of a table only where ids differ in their first eight characters: DuckDB
    keeps no more of a block's least and greatest text. An hour leaves these rows alone, so the index costs it nothing
    but the bytes that it copies.
    """
    table = ".".join(filter(None, (database, "nightly_recommendations")))
    desk.execute(f"create index {NIGHTLY_BY_USER} on {table} (user_id)")


def create_view(desk: duckdb.DuckDBPyConnection) -> None:
    """Create the view `recommendations` in `next`, its columns commented like those of the nightly table."""
    # Unqualified names inside: the snapshot must not remember what it was called on the desk.
    desk.execute("use next")
    desk.execute(VIEW)
    desk.execute("use memory")
    _comment(desk, "view", "recommendations", VIEW_COMMENT, columns(desk, "next", "nightly_recommendations"))


def columns(desk: duckdb.DuckDBPyConnection, database: str, table: str) -> dict[str, str | None]:
    """Return the columns of a table with their comments, in order."""
    rows = desk.execute(
        "select column_name, comment from duckdb_columns() "
        "where database_name = ? and schema_name = 'main' and table_name = ? order by column_index",
        [database, table],
    )
    return dict(rows.fetchall())


def shared_columns(desk: duckdb.DuckDBPyConnection, origin: str, table: str) -> str:
    """List, for SQL, the columns that a table has both in `origin` and in `next`.

    A release may add a column: until the next nightly, rows of the other layout have a null there.
    """
    target = columns(desk, "next", table)
    return ", ".join(f'"{name}"' for name in columns(desk, origin, table) if name in target)


def literal(text: str) -> str:
    """Quote a text for SQL, where DuckDB takes no bound parameter."""
    return "'" + text.replace("'", "''") + "'"


def _comment(
    desk: duckdb.DuckDBPyConnection, kind: str, name: str, comment: str | None, of_columns: dict[str, str | None]
) -> None:
    if comment:
        desk.execute(f"comment on {kind} next.{name} is {literal(comment)}")
    for column, text in of_columns.items():
        if text:
            desk.execute(f'comment on column next.{name}."{column}" is {literal(text)}')

"""Reading a suite's one row of aggregates, and the SQL that shows what lies behind a number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from embeddings.settings import Settings
from tideline.gates.measures import Measure, Value
from tideline.run import Run


def read_sql(suite: str) -> str:
    """Return the query of a suite's aggregates, `<suite>.sql` beside this module: one row, one column a measure."""
    return Path(__file__).with_name(f"{suite}.sql").read_text()


def read_row(connection: duckdb.DuckDBPyConnection, sql: str, given: Mapping[str, object]) -> dict[str, Value]:
    """Run a query that returns one row; return it by column name."""
    cursor = connection.execute(sql, dict(given))
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    if len(rows) != 1:
        raise RuntimeError(f"a suite's aggregates are one row, got {len(rows)}")
    return dict(zip(names, rows[0], strict=True))


def read_warehouse(run: Run, settings: Settings, sql: str, given: Mapping[str, object]) -> dict[str, Value]:
    """Run such a query on the run's warehouse, read-only."""
    config = {"threads": settings.threads, "memory_limit": settings.memory_limit}
    with duckdb.connect(str(run.warehouse), read_only=True, config=config) as connection:
        return read_row(connection, sql, given)


def query_warehouse(measure: Measure, run: Run) -> str:
    """SQL for any DuckDB prompt that shows the rows a measure of the warehouse concerns."""
    query = measure.query.format(layer=f"{run.kind}_recommendations", as_of=f"timestamp '{run.window.as_of:%F %T.%f}'")
    return f"attach '{quoted(run.warehouse)}' as warehouse (read_only); use warehouse; {query};"


def query_quarantine(run: Run) -> str:
    """SQL for any DuckDB prompt that shows why rows of the home are in quarantine; add `raw` for their content."""
    files = quoted(run.root / "quarantine" / "*.parquet")
    return (
        f"select file, rule, reason, count(*) as rows, min(row_number) as first_row from read_parquet('{files}') "
        "group by all order by rows desc;"
    )


def quoted(path: Path) -> str:
    """Return a path for use between single quotes in SQL."""
    return str(path).replace("'", "''")

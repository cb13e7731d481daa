"""What came in, against what came in before: the batches that a run pins and that are not new to it.

The lake is the memory: it is never cleaned up, and `run.json` pins both sides, so a rerun measures the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from tideline import contracts
from tideline.gates.aggregates import read_row, read_sql
from tideline.gates.measures import Measure, Value
from tideline.intake.lake import lake_rows, record_files
from tideline.run import Run

REMEMBERED = 28
"""Deliveries that are looked back at for event types and nulls, and for the usual number of rows."""
FEWEST_DELIVERIES = 3
"""Below it there is no usual number of rows. The first delivery is a load of history and does not count."""
FEWEST_ROWS = 100
"""A share of fewer rows, or a usual number below it, says nothing."""
WEEKS = 8
"""Windows of the same hour and day of the week that a run's window is compared with."""

RECORD = {
    "batch_id": "varchar",
    "table": "varchar",
    "file": "varchar",
    "landed_at": "timestamp",
    "kind": "varchar",
    **dict.fromkeys(("rows_read", "accepted", "quarantined", "ignored", "events", "items"), "bigint"),
    "reasons": "map(varchar, bigint)",
}
OPTIONAL = {
    "events": ("event_value", "event_text", "generation"),
    "items": ("title", "description", "category", "available_from", "available_until", "updated_at"),
}
DELIVERIES = (
    "select landed_at, sum(rows_read) as rows_read, sum(events) as events, sum(quarantined) as quarantined "
    "from read_json('{lake}/*/batch.json', union_by_name = true) group by landed_at order by landed_at desc"
)


def _of_deliveries(kind: str) -> Measure:
    return Measure(
        f"{kind}_delivery_ratio",
        "a delivery has about as many rows as the median of those before it",
        DELIVERIES,
        rows="delivered_rows",
        beside=("delivered_rows", "usual_delivery_rows"),
        past=True,
        kind=kind,
    )


def _of_nulls(table: str, column: str) -> Measure:
    return Measure(
        f"null_rise_{column}",
        f"the share of {table} without {column} is not far above what it was",
        f"select batch_id, count(*), count({column}) "
        f"from read_parquet('{{lake}}/*/{table}.parquet') group by batch_id order by max(landed_at) desc",
        rows=f"nulls_{column}",
        beside=(f"null_share_{column}", f"past_null_share_{column}"),
        past=True,
    )


MEASURES = (
    _of_deliveries("nightly"),
    _of_deliveries("hourly"),
    Measure(
        "window_volume_ratio",
        f"the window has about as many events as the same one of the {WEEKS} weeks before",
        "select event_at::date as day, count(*) from read_parquet('{lake}/*/events.parquet') "
        "group by day order by day desc",
        rows="window_events",
        beside=("window_events", "usual_window_events"),
        past=True,
    ),
    Measure(
        "event_type_distance",
        "the event types are mixed as they were (total variation distance, 0 to 1)",
        "select landed_at, event_type, count(*) from read_parquet('{lake}/*/events.parquet') "
        "group by all order by landed_at desc, event_type",
        rows="new_events",
        past=True,
    ),
    Measure(
        "repeated_share",
        "few of the events that came in had come before",
        "select event_id, list(batch_id) from read_parquet('{lake}/*/events.parquet') "
        "group by event_id having count(distinct batch_id) > 1",
        rows="repeated_events",
        past=True,
    ),
    *(_of_nulls(table, column) for table, columns in OPTIONAL.items() for column in columns),
)


def measure(connection: duckdb.DuckDBPyConnection, run: Run, incoming: tuple[str, ...]) -> dict[str, Value]:
    """Return the comparisons; None for each that lacks a past, or rows enough.

    `connection` has the views of the suite `staging`: `files`, `events`, `items`, `pinned_events`.
    """
    new = set(incoming)
    earlier = [batch for batch in run.batches if batch not in new]
    load_records(connection, "past_files", run.root, earlier)
    recent = connection.execute(
        "select batch_id from past_files qualify dense_rank() over (order by landed_at desc) <= ? order by batch_id",
        [REMEMBERED],
    ).fetchall()
    remembered = [batch for (batch,) in recent]
    for table in OPTIONAL:
        columns = contracts.LAKE_EVENTS if table == "events" else contracts.LAKE_ITEMS
        show(connection, f"past_{table}", columns, lake_rows(run.root, remembered, table))
    window = run.window
    given = {
        "fewest_deliveries": FEWEST_DELIVERIES,
        "remembered": REMEMBERED,
        "fewest_rows": FEWEST_ROWS,
        "weeks": WEEKS,
        "starts_at": window.start.replace(tzinfo=None),
        "as_of": window.as_of.replace(tzinfo=None),
        "something_new": bool(incoming),
        **_span_of_new(connection),
    }
    values = read_row(connection, read_sql("past"), given)
    values |= {f"{kind}_delivery_ratio": values["delivery_ratio"] for kind in ("nightly", "hourly")}
    for table, columns_of in OPTIONAL.items():
        now, before = (
            _count_nulls(connection, lake_rows(run.root, batches, table), columns_of)
            for batches in (incoming, remembered)
        )
        for column in columns_of:
            values |= _compare_nulls(column, now, before)
    return values


def show(
    connection: duckdb.DuckDBPyConnection, name: str, columns: tuple[contracts.Column, ...], rows: str | None
) -> None:
    """Show rows of the lake, as `lake_rows` gives them, as one view; without any it is empty."""
    if rows:
        connection.execute(f"create view {name} as {rows}")
    else:
        connection.execute(f"create table {name} ({contracts.ddl(columns)})")


def load_records(connection: duckdb.DuckDBPyConnection, name: str, root: Path, batches: Sequence[str]) -> None:
    """Load the `batch.json` of batches as a table of `RECORD`."""
    columns = ", ".join(f"'{column}': '{type_}'" for column, type_ in RECORD.items())
    if batches:
        connection.execute(
            f"create table {name} as select distinct on (batch_id) * from "
            f"read_json(?, columns = {{{columns}}}, format = 'unstructured') where list_contains(?, batch_id)",
            [[str(file) for file in record_files(root)], list(batches)],
        )
    else:
        columns = ", ".join(f'"{column}" {type_}' for column, type_ in RECORD.items())
        connection.execute(f"create table {name} ({columns})")


def _span_of_new(connection: duckdb.DuckDBPyConnection) -> dict[str, object]:
    row = connection.execute("select min(event_at), max(event_at) from events").fetchone()
    return dict(zip(("first_event_at", "last_event_at"), row or (None, None), strict=True))


def _count_nulls(
    connection: duckdb.DuckDBPyConnection, rows: str | None, columns: tuple[str, ...]
) -> dict[str, tuple[int, int]]:
    """Return nulls and rows by column."""
    if rows is None:
        return {}
    counted = ", ".join(f"count(*) - count({column}), count(*)" for column in columns)
    found = connection.execute(f"select {counted} from ({rows})").fetchone() or ()
    return {column: (found[2 * n], found[2 * n + 1]) for n, column in enumerate(columns)}


def _compare_nulls(
    column: str, now: dict[str, tuple[int, int]], before: dict[str, tuple[int, int]]
) -> dict[str, Value]:
    nulls, rows = now.get(column, (0, 0))
    past_nulls, past_rows = before.get(column, (0, 0))
    enough = min(rows, past_rows) >= FEWEST_ROWS
    share, past_share = (nulls / rows, past_nulls / past_rows) if enough else (None, None)
    return {
        f"nulls_{column}": nulls,
        f"null_share_{column}": share,
        f"past_null_share_{column}": past_share,
        f"null_rise_{column}": None if share is None or past_share is None else share - past_share,
    }

"""Accounts of raw rows, on judged rows written by hand."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tideline.intake import LostRowsError
from tideline.intake.accounts import settle
from tideline.intake.declaration import Column, Table
from tideline.intake.files import LandingFile
from tideline.intake.landing import Landed

TABLE = Table("lines", ("*",), (Column("a", "varchar"),))
ENTRY = Landed(LandingFile(Path("f.csv"), "f.csv", TABLE, 1, 1))


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("create schema landing")
    made.execute("create table landing.lines as select 'f.csv' as _file, n as _row from range(1, 7) as rows(n)")
    made.execute(
        "create table landing.rejected as select 'f.csv' as _file, 7::bigint as _row, 'unreadable_row' as rule"
    )
    return made


def judged(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[int, str, str | None]]) -> None:
    connection.execute(f"create temp table {table} (_file varchar, _row bigint, disposition varchar, rule varchar)")
    for row in rows:
        connection.execute(f"insert into {table} values ('f.csv', ?, ?, ?)", row)


def test_a_raw_row_counts_once_and_its_event_decides(connection: duckdb.DuckDBPyConnection) -> None:
    judged(
        connection,
        "judged_events",
        [
            (1, "accepted", None),
            (1, "accepted", None),  # two events of one raw row
            (2, "quarantined", "user_id_missing"),  # though its item is accepted
            (3, "ignored", "cancellation"),
            (3, "accepted", None),  # a part is ignored, the row is used
            (4, "ignored", "cancellation"),
        ],
    )
    judged(connection, "judged_items", [(2, "accepted", None), (5, "accepted", None), (6, "ignored", "draft")])
    account = settle(connection, [ENTRY])["f.csv"]
    assert (account.rows_read, account.accepted, account.quarantined, account.ignored) == (7, 3, 2, 2)
    assert account.reasons == {"unreadable_row": 1, "user_id_missing": 1}
    assert account.ignored_by == {"cancellation": 1, "draft": 1}
    assert (account.events, account.items) == (3, 2)


def test_rows_that_a_staging_model_drops_are_an_error(connection: duckdb.DuckDBPyConnection) -> None:
    judged(connection, "judged_events", [(n, "accepted", None) for n in range(1, 6)])
    judged(connection, "judged_items", [])
    with pytest.raises(LostRowsError, match=r"f\.csv: 7 rows were read and 6 came out.*ignored_by"):
        settle(connection, [ENTRY])

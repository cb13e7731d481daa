"""JSON lines: one object a line. A line that is no object is set aside, not lost."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tideline.intake import quoting
from tideline.intake.declaration import Table
from tideline.intake.files import LandingFile
from tideline.intake.reading.columns import Found, match_columns
from tideline.intake.reading.delimited import scan_text

NEVER_IN_JSON = "\x01"  # JSON writes control characters as escapes


def read_json_lines(
    connection: duckdb.DuckDBPyConnection, table: Table, file: LandingFile, path: Path, scratch: Path
) -> Found:
    """Fill `staged` and `rejected` from one file; nested values arrive as JSON.

    Raises
    ------
    LandingError
        If no line of the file has a required column.
    """
    scan_text(connection, path, scratch, ["line"], ["line"], delimiter=NEVER_IN_JSON, quote="", header=False)
    connection.execute("delete from staged where trim(line) = '' or line is null")
    is_object = "case when json_valid(line) then json_type(line) = 'OBJECT' else false end"
    connection.execute(f"insert into rejected select _row, 'unreadable_row', line from staged where not {is_object}")
    connection.execute("delete from staged where _row in (select _row from rejected)")
    keys = connection.execute("select distinct unnest(json_keys(line)) as key from staged order by key").fetchall()
    if not keys:
        connection.execute("create or replace temp table staged (_row bigint)")
        return Found()
    found = match_columns(table, file, [key for (key,) in keys])
    kept = [column for column in table.columns if column.name in found.present]
    selected = ", ".join(
        f"{'json_extract' if _is_nested(column.type) else 'json_extract_string'}(line, {_path(column.name)}) "
        f"as {quoting.name(column.name)}"
        for column in kept
    )
    connection.execute(f"create or replace temp table staged as select _row, {selected} from staged")
    return found


def _path(column: str) -> str:
    escaped = column.replace('"', '\\"')
    return quoting.text(f'$."{escaped}"')


def _is_nested(data_type: str) -> bool:
    return data_type.endswith("]") or data_type.startswith(("struct", "map", "json"))

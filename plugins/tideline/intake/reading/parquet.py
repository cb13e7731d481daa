"""Parquet: typed columns, which must be of the declared kind."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tideline.intake import quoting
from tideline.intake.declaration import Table
from tideline.intake.errors import LandingError
from tideline.intake.files import LandingFile
from tideline.intake.reading.columns import Found, match_columns

WHOLE = (
    "tinyint",
    "smallint",
    "integer",
    "bigint",
    "hugeint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "uhugeint",
)
NUMBERS = (*WHOLE, "float", "double", "decimal")
TIMES = ("date", "timestamp")


def read_parquet(
    connection: duckdb.DuckDBPyConnection, table: Table, file: LandingFile, path: Path, scratch: Path
) -> Found:
    """Fill `staged` from one file.

    Raises
    ------
    LandingError
        If a required column is missing, or a column has another kind than declared.
    """
    scan = f"read_parquet({quoting.text(path)})"
    described = connection.execute(f"describe select * from {scan}").fetchall()
    types = {name: str(data_type).lower() for name, data_type, *_ in described}
    found = match_columns(table, file, list(types))
    for column in table.columns:
        if column.name in found.present and not fits(types[column.name], column.type):
            raise LandingError(
                f"table {table.name!r}: {file.path}, column {column.name!r}: expected {column.type}, "
                f"found {types[column.name]}"
            )
    kept = [quoting.name(column.name) for column in table.columns if column.name in found.present]
    selected = ", ".join(["row_number() over () as _row", *kept])
    connection.execute(f"create or replace temp table staged as select {selected} from {scan}")
    return found


def fits(found: str, declared: str) -> bool:
    """Say whether values of one type keep their meaning in a column of the other."""
    if found == declared or found in ('"null"', "null"):
        return True
    nested = found.endswith("]") or found.startswith(("struct", "map", "blob"))
    if declared == "varchar":
        return not nested
    for kind in (NUMBERS, TIMES):
        if declared.startswith(kind):
            return not nested and found.startswith(kind)
    return False

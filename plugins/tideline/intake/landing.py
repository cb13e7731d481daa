"""Landing files become raw tables `landing.<table>` in the intake's own DuckDB file."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from embeddings.settings import Settings
from tideline.intake import quoting
from tideline.intake.declaration import Column, Declaration, Table
from tideline.intake.errors import LandingError, UnreadableFileError, UnsettledFileError
from tideline.intake.files import LandingFile
from tideline.intake.reading import Reader, reader_for, unpack
from tideline.intake.reading.columns import Found

log = logging.getLogger(__name__)
OWN_TROUBLE = ("no space left", "could not write", "max_temp_directory_size", "permission denied")
"""Signs that it is the machine, not the file, that is at fault: such an error is raised, the file is not refused."""


@dataclass(frozen=True)
class Landed:
    """What became of one file: its rows are in `landing.<table>` and `landing.rejected`, or it is unreadable."""

    file: LandingFile
    extra_columns: tuple[str, ...] = ()
    unreadable: str | None = None


@contextmanager
def connect(database: Path, settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the intake's DuckDB file. Rows keep the order of the file: row numbers depend on it."""
    config = {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        "temp_directory": str(database.with_suffix(".tmp")),
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(str(database), config=config) as connection:
        connection.execute("set timezone = 'UTC'")
        # The file lives for a minute: compressing it costs more than the rest of the intake.
        connection.execute("pragma force_compression = 'uncompressed'")
        yield connection


def load_files(
    connection: duckdb.DuckDBPyConnection,
    declaration: Declaration,
    files: Sequence[LandingFile],
    landed_at: datetime,
    scratch: Path,
    *,
    reader: tuple[str, Reader] | None = None,
) -> tuple[list[Landed], list[str]]:
    """Fill `landing.*` with the rows of the files.

    Each table has the declared columns and `_file`, `_row` (1-based data row) and `_hash`, which identifies an event
    that has no id: md5 of the table's name and the raw columns as JSON. `reader` is for all of them,
    whatever their names.

    Returns
    -------
    tuple
        What became of each file, and the names of those that changed while they were read.

    Raises
    ------
    LandingError
        If a file lacks a required column or has a retyped one.
    """
    connection.execute("create schema if not exists landing")
    connection.execute("create table landing.batch_clock as select ?::timestamp as landed_at", [_naive(landed_at)])
    connection.execute(
        "create table landing.rejected (_table varchar, _file varchar, _row bigint, rule varchar, raw varchar)"
    )
    for table in declaration.tables:
        columns = ", ".join(f"{quoting.name(column.name)} {column.type}" for column in table.columns)
        connection.execute(
            f"create table landing.{quoting.name(table.name)} ({columns}, _file varchar, _row bigint, _hash varchar)"
        )
    landed: list[Landed] = []
    unsettled: list[str] = []
    for file in files:
        try:
            landed.append(_load_file(connection, declaration.source, file, scratch, reader or reader_for(file.name)))
        except UnsettledFileError as error:
            log.warning("%s: left for the next intake", error)
            unsettled.append(file.name)
    return landed, unsettled


def _load_file(
    connection: duckdb.DuckDBPyConnection, source: str, file: LandingFile, scratch: Path, reader: tuple[str, Reader]
) -> Landed:
    kind, read = reader
    connection.execute("create or replace temp table rejected (_row bigint, rule varchar, raw varchar)")
    try:
        found = read(connection, file.table, file, unpack(file.path, scratch), scratch)
    except LandingError as error:
        raise LandingError(f"source {source!r}, {error}") from None
    except UnreadableFileError as error:
        file.check_unchanged()
        return Landed(file, unreadable=str(error))
    except duckdb.Error as error:
        file.check_unchanged()
        if _is_own_trouble(error):
            raise
        # DuckDB's message may quote a row.
        return Landed(file, unreadable=f"it cannot be read as {kind} ({type(error).__name__})")
    finally:
        (scratch / "unpacked").unlink(missing_ok=True)
    file.check_unchanged()
    _insert(connection, file.table, file.name, found)
    if found.extra:
        log.warning("%s: columns that %s does not declare are left out: %s", file.name, source, ", ".join(found.extra))
    return Landed(file, extra_columns=found.extra)


def _insert(connection: duckdb.DuckDBPyConnection, table: Table, name: str, found: Found) -> None:
    """Copy `staged` to the raw table, cast as declared; a value that cannot be cast sets its row aside."""
    present = [column for column in table.columns if column.name in found.present]
    cast = [column for column in present if column.type != "varchar"]
    if cast:
        broken = " or ".join(
            f"({quoting.name(column.name)} is not null and {_value(column, found)} is null)" for column in cast
        )
        raw = _as_json(present)
        connection.execute(f"insert into rejected select _row, 'value_unreadable', {raw} from staged where {broken}")
        connection.execute("delete from staged where _row in (select _row from rejected)")
    connection.execute("insert into landing.rejected select ?, ?, * from rejected", [table.name, name])
    values = ", ".join(f"{_value(column, found)} as {quoting.name(column.name)}" for column in table.columns)
    connection.execute(
        f"insert into landing.{quoting.name(table.name)} "
        f"select * exclude (_row), ? as _file, _row, md5({quoting.text(table.name)} || {raw_row(table)}) as _hash "
        f"from (select {values}, _row from staged)",
        [name],
    )


def _value(column: Column, found: Found) -> str:
    if column.name not in found.present:
        return f"cast(null as {column.type})"
    return f"try_cast({quoting.name(column.name)} as {column.type})"


def _as_json(columns: Sequence[Column]) -> str:
    fields = ", ".join(f"{quoting.text(column.name)}: {quoting.name(column.name)}" for column in columns)
    return f"cast(to_json({{{fields}}}) as varchar)"


def raw_row(table: Table) -> str:
    """Return the SQL of a raw row as JSON."""
    return _as_json(table.columns)


def _is_own_trouble(error: duckdb.Error) -> bool:
    message = str(error).lower()
    return isinstance(error, duckdb.OutOfMemoryException) or any(sign in message for sign in OWN_TROUBLE)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)

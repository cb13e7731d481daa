"""Delimited text (CSV and its kin): everything is text; a row that does not parse is set aside, not lost."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb

from tideline.intake import quoting
from tideline.intake.declaration import Table
from tideline.intake.errors import LandingError
from tideline.intake.files import LandingFile
from tideline.intake.reading.columns import Found, match_columns
from tideline.intake.reading.repair import LONGEST_ROW, repair

SAMPLED_ROWS = 100
REJECTED_AT_A_TIME = 10_000
WIDE = f", max_line_size={5 * LONGEST_ROW}, buffer_size={10 * LONGEST_ROW}"
"""For long rows; a character takes up to four bytes, a quoted quote one more."""


def read_delimited(
    connection: duckdb.DuckDBPyConnection, table: Table, file: LandingFile, path: Path, scratch: Path
) -> Found:
    """Fill `staged` and `rejected` from one file.

    The delimiter and the names are taken from the first line (without a header: from the declaration), never guessed
    from the values, so that a file means the same whatever its rows hold.

    Raises
    ------
    LandingError
        If a required column is missing.
    """
    delimiter, names = _shape(table, file, path)
    if not names:
        connection.execute("create or replace temp table staged (_row bigint)")
        return Found()
    found = match_columns(table, file, [name for name in names if name])
    columns = [name or f"_unnamed_{position}" for position, name in enumerate(names)]
    kept = [column.name for column in table.columns if column.name in found.present]
    scan_text(connection, path, scratch, columns, kept, delimiter=delimiter, quote=table.quote, header=table.header)
    return found


def scan_text(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    scratch: Path,
    columns: list[str],
    kept: list[str],
    *,
    delimiter: str,
    quote: str,
    header: bool,
) -> None:
    """Read text with known columns into `staged` (`_row` and the kept columns) and `rejected` (`_row`, rule, raw).

    DuckDB reads what is in order, with all threads. Its own tables of rejected rows tell neither place nor text of a
    row reliably once several go wrong, so a file that it refuses is taken the careful way.
    """
    selected = ", ".join(map(quoting.name, kept))
    start = "create or replace temp table staged as select"
    try:
        scan = _scan(path, columns, delimiter=delimiter, quote=quote, header=header)
        connection.execute(f"{start} row_number() over () as _row, {selected} from {scan}")
    except duckdb.InvalidInputException:
        clean = scratch / "repaired.csv"
        rejected = repair(path, clean, delimiter=delimiter, quote=quote, width=len(columns), header=header)
        while rows := list(itertools.islice(rejected, REJECTED_AT_A_TIME)):
            columnwise = [list(values) for values in zip(*rows, strict=True)]
            connection.execute("insert into rejected select unnest(?), unnest(?), unnest(?)", columnwise)
        scan = _scan(clean, ["_row", *columns], delimiter=",", quote='"', header=False, limits=WIDE)
        connection.execute(f"{start} cast(_row as bigint) as _row, {selected} from {scan}")
        clean.unlink()


def _scan(path: Path, columns: list[str], *, delimiter: str, quote: str, header: bool, limits: str = "") -> str:
    types = ", ".join(f"{quoting.text(name)}: 'VARCHAR'" for name in columns)
    return (
        f"read_csv({quoting.text(path)}, auto_detect=false, header={header}, delim={quoting.text(delimiter)}, "
        f"quote={quoting.text(quote)}, escape={quoting.text(quote)}, columns={{{types}}}{limits})"
    )


def _shape(table: Table, file: LandingFile, path: Path) -> tuple[str, list[str]]:
    """Return the delimiter, and the column names in the file's order; no names if the file is empty.

    A name that occurs twice counts in the first place and is empty in the others.
    """
    shapes = []
    for delimiter in table.delimiters:
        rows = list(itertools.islice(_rows(path, delimiter, table.quote), 1 if table.header else SAMPLED_ROWS))
        if not rows:
            return delimiter, []
        shapes.append((delimiter, [name.strip() for name in rows[0]] if table.header else _names_for(table, rows)))
    declared = {column.name for column in table.columns}
    delimiter, names = max(shapes, key=lambda shape: (len(declared & set(shape[1])), -len(shape[1])))
    if not table.header and len(names) < len(table.required):
        raise LandingError(
            f"table {table.name!r}: {file.path} has no header and {len(names)} columns, "
            f"expected {len(table.required)}: {', '.join(column.name for column in table.columns)}"
        )
    return delimiter, ["" if name in names[:position] else name for position, name in enumerate(names)]


def _names_for(table: Table, rows: list[list[str]]) -> list[str]:
    """Name the columns of a file without a header by their place; most rows decide how many there are."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    declared = [column.name for column in table.columns]
    return [*declared[:width], *(f"column {position + 1}" for position in range(len(declared), width))]


def _rows(path: Path, delimiter: str, quote: str) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(
            stream,
            delimiter=delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        with contextlib.suppress(csv.Error):  # DuckDB says what is wrong with it
            yield from (row for row in reader if row)

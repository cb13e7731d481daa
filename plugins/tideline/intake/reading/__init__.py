"""Readers, one a file format. Each fills the temporary table `staged`: `_row` and the declared columns as found."""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import duckdb

from tideline.intake.declaration import Table
from tideline.intake.errors import UnreadableFileError
from tideline.intake.files import LandingFile
from tideline.intake.reading.columns import Found
from tideline.intake.reading.delimited import read_delimited
from tideline.intake.reading.json_lines import read_json_lines
from tideline.intake.reading.parquet import read_parquet

Reader = Callable[[duckdb.DuckDBPyConnection, Table, LandingFile, Path, Path], Found]
"""Connection, table, file, path of its unpacked content, scratch folder."""


def reader_for(name: str) -> tuple[str, Reader]:
    """Return format and reader of a file, by its name. What is neither Parquet nor JSON lines is delimited text."""
    plain = name.lower().removesuffix(".gz")
    if plain.endswith((".parquet", ".pq")):
        return "Parquet", read_parquet
    if plain.endswith((".jsonl", ".ndjson", ".json")):
        return "JSON lines", read_json_lines
    return "delimited text", read_delimited


def unpack(path: Path, scratch: Path) -> Path:
    """Unpack a `.gz` into `scratch`, its checksum verified; return any other file as it is.

    DuckDB reads a truncated gzip to where it ends without a word, and reads it with one thread.

    Raises
    ------
    UnreadableFileError
        If the file ends early or is damaged.
    """
    if path.suffix.lower() != ".gz":
        return path
    plain = scratch / "unpacked"
    try:
        with gzip.open(path, "rb") as packed, plain.open("wb") as stream:
            shutil.copyfileobj(packed, stream, 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFileError(f"the gzip is damaged or ends early ({type(error).__name__})") from None
    return plain

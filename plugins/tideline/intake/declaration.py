"""The declaration of a source: which landing files feed which raw table, and the columns that it must have.

It is the plain dbt `sources:` YAML beside the staging models, read without dbt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tideline.intake.errors import LandingError

TABLE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
DATA_TYPE = re.compile(r"^[a-z][a-z0-9_ ,()\[\]\"]*$")
LANDING_KEYS = {"files", "header", "delimiter", "quote", "optional"}


@dataclass(frozen=True)
class Column:
    """One raw column. An optional one may be absent and is null then."""

    name: str
    type: str
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """One raw table `landing.<name>` and the files that feed it."""

    name: str
    files: tuple[str, ...]
    """Globs below the landing folder."""
    columns: tuple[Column, ...]
    optional: bool = False
    header: bool = True
    delimiters: tuple[str, ...] = (",",)
    """The one that splits a file's first line into the most declared columns is taken."""
    quote: str = '"'
    """Empty if the files quote nothing."""

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that every file must have."""
        return tuple(column.name for column in self.columns if not column.optional)


@dataclass(frozen=True)
class Declaration:
    """What a source promises to land."""

    source: str
    tables: tuple[Table, ...]


def read_declaration(source: str, staging: Path) -> Declaration:
    """Read the declaration of `source` from the YAML files in `<staging>/<source>/`.

    Raises
    ------
    LandingError
        If there is no such folder, no source of that name, or a table that says too little.
    """
    folder = staging / source
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in staging.iterdir() if path.is_dir()))
        raise LandingError(f"no source {source!r}: there is no folder {folder}. Known sources: {known}")
    entries = [
        entry
        for file in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
        for entry in (yaml.safe_load(file.read_text()) or {}).get("sources", [])
        if entry.get("name") == source
    ]
    tables = tuple(_read_table(source, table) for entry in entries for table in entry.get("tables", []))
    if not tables:
        raise LandingError(f"source {source!r}: no YAML in {folder} declares `sources: - name: {source}` with tables")
    return Declaration(source, tables)


def _read_table(source: str, entry: Mapping[str, Any]) -> Table:
    where = f"source {source!r}, table {entry.get('name')!r}"
    landing = _landing_meta(entry)
    if not TABLE_NAME.match(str(entry.get("name"))):
        raise LandingError(f"{where}: a table name is lower case letters, digits and underscores")
    if unknown := sorted(set(landing) - LANDING_KEYS):
        raise LandingError(f"{where}: unknown key {unknown} under config.meta.landing, known: {sorted(LANDING_KEYS)}")
    if not landing.get("files"):
        raise LandingError(
            f"{where}: config.meta.landing.files must name the landing files, for example 'ratings*.csv*'"
        )
    if not entry.get("columns"):
        raise LandingError(f"{where}: declare its columns")
    return Table(
        name=entry["name"],
        files=_several(landing["files"]),
        columns=tuple(_read_column(where, column) for column in entry["columns"]),
        optional=bool(landing.get("optional", False)),
        header=bool(landing.get("header", True)),
        delimiters=_several(landing.get("delimiter", ",")),
        quote=str(landing.get("quote", '"')),
    )


def _read_column(where: str, entry: Mapping[str, Any]) -> Column:
    data_type = str(entry.get("data_type", "varchar")).lower()
    if not DATA_TYPE.match(data_type):
        raise LandingError(f"{where}, column {entry['name']!r}: {data_type!r} is no data type")
    return Column(str(entry["name"]), data_type, bool(_landing_meta(entry).get("optional", False)))


def _landing_meta(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry.get("config", {}).get("meta", {}).get("landing", {}) or {}


def _several(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)

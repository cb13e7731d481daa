"""Quoting for the SQL that intake writes: names come from declarations, paths from the file system."""

from __future__ import annotations


def name(identifier: str) -> str:
    """Quote an identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: object) -> str:
    """Quote a string literal, for the places where DuckDB binds no parameter."""
    return "'" + str(value).replace("'", "''") + "'"

"""What may be asked where the lockdown of a connection is not enough: SELECT, of tables and functions that only read.

A statement that DuckDB parses as a SELECT can still write, through a table function: the lance extension brings some
that empty a table, DuckDB others that change settings or run SQL from a string. So the parsed statement is read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

_READING = ("duckdb_columns", "duckdb_functions", "duckdb_tables", "duckdb_views", "generate_series", "json_each")
READING = frozenset({*_READING, "json_tree", "range", "unnest"})
"""Table functions that read nothing but the catalog and their arguments."""
_PLANS = "json_serialize_plan"
_NO_TABLE = re.compile(r"[/\\.:]")


def parse_selects(
    connection: duckdb.DuckDBPyConnection, text: str, also: frozenset[str] = frozenset()
) -> list[duckdb.Statement]:
    """Parse a text; refuse the whole of it if one of its statements might do more than read. Nothing is executed.

    Parameters
    ----------
    also
        Table functions to allow beside `READING`.

    Raises
    ------
    ValueError
        If a statement is no SELECT, or calls a table function that is not allowed, or names a file; the message says
        which.
    duckdb.ParserException
        If it is no SQL.
    """
    statements: list[duckdb.Statement] = connection.extract_statements(text)
    for statement in statements:
        if statement.type != duckdb.StatementType.SELECT:
            raise ValueError(f"{statement.type.name} is refused: where vectors are read, only SELECT is taken")
        _check(_parse(connection, statement.query), READING | also)
    return statements


def _parse(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute("select json_serialize_sql(?)", [query]).fetchone()
    parsed = json.loads(row[0] if row else "null")
    if parsed["error"]:
        raise ValueError(f"only SELECT is taken where vectors are read: {parsed['error_message']}")
    return parsed


def _check(parsed: Any, allowed: frozenset[str]) -> None:
    for node in _nodes(parsed):
        if node.get("type") == "TABLE_FUNCTION" and (name := node["function"]["function_name"].lower()) not in allowed:
            raise ValueError(f"table function {name} is refused where vectors are read; there are {_list(allowed)}")
        if node.get("type") == "FUNCTION" and node.get("function_name", "").lower() == _PLANS:
            raise ValueError(f"{_PLANS} is refused where vectors are read")
        if _NO_TABLE.search(node.get("table_name") or ""):
            raise ValueError(f"{node['table_name']!r} is no table: only tables can be read where vectors are read")


def _nodes(parsed: Any) -> Iterator[dict[str, Any]]:
    waiting = [parsed]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))

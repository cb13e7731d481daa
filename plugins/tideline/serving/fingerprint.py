"""Hashes of table content: equal for equal rows, whatever their order, cheap for twenty million rows."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import duckdb

LEFT_OUT = "generation"
"""The name of a build is not part of its content: two runs with the same rows have the same hash."""


def fingerprint(connection: duckdb.DuckDBPyConnection, relations: Iterable[str]) -> str:
    """Return the hash of relations: SQL after `from`, given by the caller's code, never by a user.

    Each row is hashed twice to 64 bits with DuckDB's own hash, nested values included, and the hashes are summed
    exactly. A sum needs no order, and loses nothing by it: a row of a ranking holds its user and its rank. DuckDB's
    minor version is part of the result, as its hash may change from one to the next; md5 of each row as text took
    seven times as long.
    """
    digest = sha256(duckdb.__version__.rsplit(".", 1)[0].encode())
    for relation in relations:
        row = connection.execute(
            "select count(*), sum(hash(line)), sum(hash(line, 'tideline')) "
            f"from (select * exclude ({LEFT_OUT}) from {relation}) as line"
        ).fetchone()
        digest.update(repr(row).encode())
    return digest.hexdigest()[:32]

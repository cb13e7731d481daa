"""Every raw row of a file gets one disposition: accepted, quarantined or ignored; the sums must add up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from tideline.intake.landing import Landed

MODELS = {"judged_events": "int_landed_events__judged", "judged_items": "int_landed_items__judged"}
"""Temporary tables of an intake, and the models that they hold the rows of."""
EVENTS, ITEMS = MODELS


class StagingError(RuntimeError):
    """A staging model failed on the rows; nothing was written."""


class LostRowsError(RuntimeError):
    """A staging model dropped rows without a rule; nothing was written."""


@dataclass
class Account:
    """What became of the rows of one file."""

    rows_read: int = 0
    accepted: int = 0
    quarantined: int = 0
    ignored: int = 0
    events: int = 0
    items: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Quarantined rows by rule."""
    ignored_by: dict[str, int] = field(default_factory=dict)
    """Ignored rows by rule."""


def judge(connection: duckdb.DuckDBPyConnection) -> None:
    """Compute the judged rows once: the temporary tables `MODELS`.

    Raises
    ------
    StagingError
        If a staging model fails on the rows. The message leaves out quoted values: they may come from a row.
    """
    for table, model in MODELS.items():
        try:
            connection.execute(f"create or replace temp table {table} as select * from main.{model}")
        except duckdb.Error as error:
            message = re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "'...'", str(error).split("LINE", 1)[0])
            raise StagingError(
                f"the staging models behind {model} fail on the landed rows: {message.strip()}"
            ) from None


def settle(connection: duckdb.DuckDBPyConnection, landed: Sequence[Landed]) -> dict[str, Account]:
    """Decide each raw row and count by file; leaves the temporary table `settled(_file, _row, disposition, rule)`.

    A raw row that gives both an event and an item counts once, by its event. Rows that no reader could parse count
    as quarantined.

    Raises
    ------
    LostRowsError
        If rows of a file have no disposition.
    """
    connection.execute(
        f"""
        create or replace temp table settled as
        with
        parts as (
            select _file, _row, disposition, rule, 0 as feed from {EVENTS}
            union all
            select _file, _row, disposition, rule, 1 as feed from {ITEMS}
        )
        select
            _file,
            _row,
            unnest(min_by(
                {{disposition: disposition, rule: rule}},
                {{feed: feed, place: list_position(['quarantined', 'accepted', 'ignored'], disposition), rule: rule}}
            ))
        from parts
        group by _file, _row
        union all
        select _file, _row, 'quarantined', rule from landing.rejected
        """
    )
    accounts = {entry.file.name: Account() for entry in landed}
    for table in sorted({entry.file.table.name for entry in landed}):
        counted = connection.execute(f'select _file, count(*) from landing."{table}" group by _file')
        for file, rows in counted.fetchall():
            accounts[file].rows_read += rows
    for file, rows in connection.execute("select _file, count(*) from landing.rejected group by _file").fetchall():
        accounts[file].rows_read += rows
    counts = connection.execute(
        "select _file, disposition, rule, count(*) from settled group by all order by count(*) desc, rule"
    )
    for file, disposition, rule, rows in counts.fetchall():
        account = accounts[file]
        setattr(account, disposition, getattr(account, disposition) + rows)
        if disposition != "accepted":
            by_rule = account.reasons if disposition == "quarantined" else account.ignored_by
            by_rule[rule] = rows
    for relation, kind in ((EVENTS, "events"), (ITEMS, "items")):
        accepted = f"select _file, count(*) from {relation} where disposition = 'accepted' group by _file"
        for file, rows in connection.execute(accepted).fetchall():
            setattr(accounts[file], kind, rows)
    for file, account in accounts.items():
        decided = account.accepted + account.quarantined + account.ignored
        if account.rows_read != decided:
            raise LostRowsError(
                f"{file}: {account.rows_read} rows were read and {decided} came out of the staging models; "
                "a row to be left out needs the name of a rule in `ignored_by`, a where clause loses it"
            )
    return accounts

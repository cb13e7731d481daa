"""Immutable batches of the lake: written aside, synced, and renamed into place; never changed after."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from embeddings import checksums
from embeddings.failpoints import failpoint
from tideline import contracts
from tideline.intake import quoting
from tideline.intake.accounts import EVENTS, ITEMS, Account
from tideline.intake.lake import RECORD, lake
from tideline.intake.landing import Landed, raw_row
from tideline.intake.rules import sentence

PARQUET = "(format parquet, compression zstd)"


def write_batch(
    connection: duckdb.DuckDBPyConnection,
    root: Path,
    source: str,
    landed_at: datetime,
    entry: Landed,
    account: Account,
    scratch: Path,
    *,
    known_as_of: datetime | None,
    more: Mapping[str, Any] | None = None,
    beside: Sequence[Path] = (),
) -> bool:
    """Write one batch and its quarantined rows; return whether it is ours (an equal one of another intake stays).

    Events are sorted by `event_at`, so that a window's reader skips what it does not need.

    Parameters
    ----------
    known_as_of
        What the newest committed run knew up to: events much older than that are too late.
    more, beside
        Fields of `batch.json` and files of the batch's folder that only this kind of batch has; the files are moved.
    """
    file = entry.file
    target = lake(root) / file.batch_id
    if target.exists():
        return False
    connection.execute(
        "create or replace temp table this_batch as "
        "select ?::varchar as batch_id, ?::varchar as source, ?::timestamp as landed_at, ?::varchar as file",
        [file.batch_id, source, landed_at.replace(tzinfo=None), file.name],
    )
    if account.quarantined or entry.unreadable:
        _write_quarantine(connection, root, entry, scratch)
    failpoint("intake.batch.before")
    part = scratch / file.batch_id
    part.mkdir()
    if account.events:
        _copy(connection, contracts.LAKE_EVENTS, EVENTS, "event_at, event_id", part / "events.parquet")
    if account.items:
        _copy(connection, contracts.LAKE_ITEMS, ITEMS, "item_id, updated_at, title, _row", part / "items.parquet")
    record = {
        "batch_id": file.batch_id,
        "source": source,
        "table": file.table.name,
        "file": file.name,
        "kind": "file",
        "landed_at": landed_at.astimezone(UTC).isoformat(),
        "known_as_of": known_as_of.astimezone(UTC).isoformat() if known_as_of else None,
        "sha256": file.sha256,
        "bytes": file.size,
        "mtime_ns": file.mtime_ns,
        **asdict(account),
        "extra_columns": list(entry.extra_columns),
        "unreadable": entry.unreadable,
        **(more or {}),
    }
    for extra in beside:
        extra.rename(part / extra.name)
    (part / RECORD).write_text(json.dumps(record, indent=2))
    checksums.record(part, ["*.parquet", RECORD])
    for written in (*part.iterdir(), part):
        sync(written)
    failpoint("intake.batch.after")
    target.parent.mkdir(parents=True, exist_ok=True)
    failpoint("lake.append.before")
    try:
        part.rename(target)
    except OSError:
        if not target.exists():
            raise
        return False
    failpoint("lake.append.after")
    sync(target.parent)
    return True


def sync(path: Path) -> None:
    """Make a file or folder survive a crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(
    connection: duckdb.DuckDBPyConnection, columns: tuple[contracts.Column, ...], judged: str, order: str, file: Path
) -> None:
    own = {"source", "landed_at", "batch_id"}
    selected = ", ".join(
        f"cast({'this_batch' if column.name in own else 'judged'}.{column.name} as {column.type}) as {column.name}"
        for column in columns
    )
    connection.execute(
        f"copy (select {selected} from {judged} as judged join this_batch on judged._file = this_batch.file "
        f"where judged.disposition = 'accepted' order by {order}) to {quoting.text(file)} {PARQUET}"
    )


def _write_quarantine(connection: duckdb.DuckDBPyConnection, root: Path, entry: Landed, scratch: Path) -> None:
    """Write what was refused with its raw content, for the owner's eyes only."""
    folder = root / "quarantine"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    table = entry.file.table
    raws = "union all select _row, raw from landing.rejected join this_batch on _file = file"
    connection.execute(f"create or replace temp table refused ({contracts.ddl(contracts.QUARANTINE)})")
    connection.execute(
        f"""
        insert into refused
        with
        raws as (
            select _row, {raw_row(table)} as raw from landing.{quoting.name(table.name)} join this_batch on _file = file
            {raws}
        )
        select this_batch.batch_id, ?, this_batch.file, settled._row, settled.rule, settled.rule, raws.raw, landed_at
        from settled join this_batch on settled._file = this_batch.file
        join raws on settled._row = raws._row
        where settled.disposition = 'quarantined'
        order by settled._row
        """,
        [table.name],
    )
    for (rule,) in connection.execute("select distinct rule from refused").fetchall():
        connection.execute("update refused set reason = ? where rule = ?", [sentence(rule), rule])
    if entry.unreadable:
        connection.execute(
            "insert into refused select batch_id, ?, file, null, 'unreadable_file', ?, null, landed_at from this_batch",
            [table.name, f"{sentence('unreadable_file')}: {entry.unreadable}"],
        )
    part = scratch / "quarantine.parquet"
    connection.execute(f"copy (from refused order by row_number) to {quoting.text(part)} {PARQUET}")
    part.chmod(0o600)
    sync(part)
    failpoint("intake.quarantine.before")
    part.replace(folder / f"{entry.file.batch_id}.parquet")
    failpoint("intake.quarantine.after")
    sync(folder)

"""Release: quarantined rows are judged again, mended or under changed rules, and land as a batch of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import duckdb

from embeddings.settings import Settings
from tideline.intake import quoting
from tideline.intake.accounts import Account, judge, settle
from tideline.intake.batches import PARQUET, write_batch
from tideline.intake.declaration import Declaration, Table, read_declaration
from tideline.intake.files import LandingFile
from tideline.intake.lake import RELEASED, read_batches
from tideline.intake.landing import Landed, connect, load_files
from tideline.intake.process import DATABASE, STAGING, build_judgement, open_scratch
from tideline.intake.quarantine import QuarantineError, Selection, folder, now, open_quarantine
from tideline.intake.reading.json_lines import read_json_lines

AT_A_TIME = 10_000
RAW_RULES = ("unreadable_row", "undecodable_text")
"""Rows that never were columns: they can be released with a fix only."""


@dataclass(frozen=True)
class _Origin:
    """The selected rows of one batch: `lines` holds them as JSON lines, `rows` tells line, row number and rule."""

    batch_id: str
    file: str
    table: Table
    landed_at: datetime
    lines: Path
    rows: Path


def release(
    settings: Settings, selection: Selection, fix: Mapping[str, str | None], *, landed_at: datetime | None = None
) -> dict[str, int]:
    """Release held rows into the lake, one batch for each batch that they came with.

    Rows are judged by the rules of today, as if they had landed with their file: an event is as late, and as far in the
    future, as it was then. A row that still breaks a rule stays where it is. The next hourly run sees a new batch and
    recomputes its users.

    Parameters
    ----------
    fix
        Raw columns that get another value in every selected row.
    landed_at
        When the batch lands (now, if not given): it decides which of two events with one id is the first.

    Returns
    -------
    dict
        `selected` rows, `released`, `still_refused`, and `batches` written.

    Raises
    ------
    QuarantineError
        If nothing is selected, or a column is not one of the source's.
    """
    from tideline.serving.lock import exclusive

    selection.required()
    declaration = read_declaration(settings.source, STAGING)
    counts = dict.fromkeys(("selected", "released", "still_refused", "batches"), 0)
    with exclusive(folder(settings.root) / "lock", "release"):
        scratch = open_scratch(settings.root)
        try:
            origins = _collect(settings, declaration, selection, fix, scratch)
            for number, group in enumerate(_groups(origins)):
                work = scratch / str(number)
                work.mkdir()
                for name, rows in _release(settings, declaration, group, fix, landed_at or now(), work).items():
                    counts[name] += rows
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return counts


def _collect(
    settings: Settings, declaration: Declaration, selection: Selection, fix: Mapping[str, str | None], scratch: Path
) -> list[_Origin]:
    """Write the selected rows, mended, as JSON lines: one file a batch."""
    tables = {table.name: table for table in declaration.tables}
    condition, bound = selection.where()
    found = []
    with open_quarantine(settings) as connection:
        connection.execute(
            f"create temp table wanted as select * from quarantined where state = 'held' and {condition}", bound
        )
        batches = connection.execute(
            "select batch_id, file, table_name, landed_at from wanted group by all order by landed_at, file, batch_id"
        ).fetchall()
        for batch_id, file, name, moment in batches:
            if name not in tables:
                raise QuarantineError(f"{file} fed the table {name!r}, which {settings.source} no longer declares")
            table = tables[name]
            declared = [column.name for column in table.columns]
            if unknown := sorted(set(fix) - set(declared)):
                raise QuarantineError(
                    f"{file} has no column {', '.join(unknown)}; its columns are {', '.join(declared)}"
                )
            lines, rows = scratch / f"{batch_id}.jsonl", scratch / f"{batch_id}.parquet"
            connection.execute(
                "copy (select row_number() over (order by row_number) as line, row_number, rule from wanted "
                f"where batch_id = {quoting.text(batch_id)}) to {quoting.text(rows)} {PARQUET}"
            )
            answer = connection.execute(
                "select rule, raw from wanted where batch_id = ? order by row_number", [batch_id]
            )
            with lines.open("w") as stream:
                while some := answer.fetchmany(AT_A_TIME):
                    stream.writelines(_mended(declared, rule, raw, fix) + "\n" for rule, raw in some)
            found.append(_Origin(batch_id, file, table, moment.replace(tzinfo=UTC), lines, rows))
    return found


def _mended(declared: list[str], rule: str, raw: str | None, fix: Mapping[str, str | None]) -> str:
    try:
        values = json.loads(raw or "")
    except ValueError:
        values = None
    if not isinstance(values, dict) or (rule in RAW_RULES and not fix):
        values = {}
    return json.dumps({**dict.fromkeys(declared), **values, **fix})


def _groups(origins: list[_Origin]) -> Iterator[list[_Origin]]:
    """Group what one build can judge: batches of one landing time, no two of one file name."""
    groups: dict[tuple[datetime, int], list[_Origin]] = {}
    for origin in origins:
        place = 0
        while any(other.file == origin.file for other in groups.get((origin.landed_at, place), [])):
            place += 1
        groups.setdefault((origin.landed_at, place), []).append(origin)
    yield from groups.values()


def _release(
    settings: Settings,
    declaration: Declaration,
    origins: list[_Origin],
    fix: Mapping[str, str | None],
    landed_at: datetime,
    scratch: Path,
) -> dict[str, int]:
    database = scratch / DATABASE
    files = [_landing_file(origin) for origin in origins]
    with connect(database, settings) as connection:
        landed, _ = load_files(
            connection, declaration, files, origins[0].landed_at, scratch, reader=("JSON lines", read_json_lines)
        )
    build_judgement(database, scratch, settings)
    counts = dict.fromkeys(("selected", "released", "still_refused", "batches"), 0)
    with connect(database, settings) as connection:
        judge(connection)
        accounts = settle(connection, landed)
        for origin, entry in zip(origins, landed, strict=True):
            account = accounts[origin.file]
            counts["selected"] += account.rows_read
            counts["still_refused"] += account.quarantined
            counts["released"] += account.rows_read - account.quarantined
            if account.rows_read > account.quarantined:
                counts["batches"] += _write(connection, settings, origin, entry, account, fix, landed_at, scratch)
    return counts


def _write(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    origin: _Origin,
    entry: Landed,
    account: Account,
    fix: Mapping[str, str | None],
    landed_at: datetime,
    scratch: Path,
) -> bool:
    """Write the batch of what is released of one origin; the rows that are refused again are no part of it."""
    connection.execute(
        "create or replace temp table going as select ? as batch_id, rows.row_number, rows.rule from settled "
        f"join read_parquet({quoting.text(origin.rows)}) as rows on settled._row = rows.line "
        "where settled._file = ? and settled.disposition <> 'quarantined' order by rows.row_number",
        [origin.batch_id, origin.file],
    )
    file = scratch / RELEASED
    connection.execute(f"copy going to {quoting.text(file)} {PARQUET}")
    numbers = [row for (row,) in connection.execute("select row_number from going order by all").fetchall()]
    by_rule = dict(connection.execute("select rule, count(*) from going group by all order by all").fetchall())
    inputs = json.dumps([settings.source, "release", origin.batch_id, numbers, dict(fix)], sort_keys=True)
    digest = sha256(inputs.encode()).hexdigest()
    own = replace(entry.file, batch_id=digest[:16], sha256=digest, size=0, mtime_ns=0)
    kept = replace(account, rows_read=account.accepted + account.ignored, quarantined=0, reasons={})
    (before,) = read_batches(settings.root, [origin.batch_id])
    known = before.get("known_as_of")
    return write_batch(
        connection,
        settings.root,
        settings.source,
        landed_at,
        replace(entry, file=own),
        kept,
        scratch,
        known_as_of=datetime.fromisoformat(known) if known else None,
        more={"kind": "release", "released_from": origin.batch_id, "released": by_rule, "fixed": sorted(fix)},
        beside=[file],
    )


def _landing_file(origin: _Origin) -> LandingFile:
    stat = origin.lines.stat()
    return LandingFile(origin.lines, origin.file, origin.table, stat.st_size, stat.st_mtime_ns)

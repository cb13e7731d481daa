"""What lies in the quarantine, row by row, and what was decided about it.

Nothing is deleted before `keep_quarantined_days`.

A row is `held` until somebody releases or discards it. That a row was released is told by the lake batch that holds it
(`released.parquet`), that it was discarded by a file in `quarantine/discarded/`: raw rows and batches stay as they are.
A file that could not be read at all (`unreadable`) is put right by landing it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from embeddings.settings import Settings
from tideline import contracts
from tideline.intake import quoting
from tideline.intake.batches import PARQUET, sync
from tideline.intake.lake import RELEASED, list_batches, list_units, place_batches

EXPIRED = "expired.jsonl"
"""Log of the batches whose refused rows are no longer kept: file, rules and counts, no content."""
DECIDED = "batch_id varchar, row_number bigint, rule varchar"


class QuarantineError(ValueError):
    """A command on the quarantine that cannot be followed; the message says what to write instead."""


@dataclass(frozen=True)
class Selection:
    """Which quarantined rows are meant: all of a batch, of a rule, or single rows of one batch."""

    batch: str | None = None
    rule: str | None = None
    rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.rows and not self.batch:
            raise QuarantineError("row numbers count within one file: say which, with its batch")

    def required(self) -> Selection:
        """Return the selection.

        Raises
        ------
        QuarantineError
            If it names nothing: a decision about everything at once is a slip.
        """
        if not (self.batch or self.rule):
            raise QuarantineError("say which rows: a batch, a rule, or rows of a batch; `list` shows them")
        return self

    def where(self) -> tuple[str, dict[str, object]]:
        """Return the condition on `quarantined`, and what is bound in it."""
        return (
            "coalesce(batch_id = $batch, true) and coalesce(rule = $rule, true) "
            "and (len($rows::bigint[]) = 0 or row_number in (select unnest($rows::bigint[])))",
            {"batch": self.batch, "rule": self.rule, "rows": list(self.rows)},
        )


def folder(root: Path) -> Path:
    """Folder of the quarantined rows, for the owner's eyes only; made if it is missing."""
    path = root / "quarantine"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


@contextmanager
def open_quarantine(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection with the view `quarantined`: the columns of the contract, `state` and `why`."""
    root = settings.root
    batches = list_batches(root)
    refused = [file for batch in batches if (file := root / "quarantine" / f"{batch['batch_id']}.parquet").exists()]
    places = place_batches(list_units(root))
    releases = [batch["batch_id"] for batch in batches if batch.get("kind") == "release"]
    released = sorted({places[batch_id].folder / RELEASED for batch_id in releases})
    with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as connection:
        _view(connection, "refused", contracts.ddl(contracts.QUARANTINE), refused)
        _view(connection, "released", DECIDED, released)
        _view(connection, "discarded", f"{DECIDED}, why varchar", _discards(root))
        connection.execute(
            """
            create view quarantined as
            select
                refused.*,
                case
                    when refused.row_number is null then 'unreadable'
                    when released.batch_id is not null then 'released'
                    when discarded.batch_id is not null then 'discarded'
                    else 'held'
                end as state,
                discarded.why
            from refused
            left join released using (batch_id, row_number)
            left join discarded using (batch_id, row_number)
            """
        )
        yield connection


def overview(settings: Settings) -> list[dict[str, Any]]:
    """Count by file and rule: `file`, `batch_id`, `rule`, `held`, `released`, `discarded`. No content."""
    with open_quarantine(settings) as connection:
        counted = connection.execute(
            "select file, batch_id, rule, count(*) filter (state = 'held') as held, "
            "count(*) filter (state = 'released') as released, count(*) filter (state = 'discarded') as discarded "
            "from quarantined group by all order by min(landed_at), file, batch_id, rule"
        )
        return _dicts(counted)


def find_rows(settings: Settings, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """Return quarantined rows with their raw content. Private: show them to who asked, and write them nowhere."""
    condition, bound = selection.where()
    with open_quarantine(settings) as connection:
        found = connection.execute(
            "select batch_id, file, row_number, rule, state, why, reason, raw from quarantined "
            f"where {condition} order by landed_at, file, batch_id, row_number limit $limit",
            {**bound, "limit": limit},
        )
        return _dicts(found)


def discard(settings: Settings, selection: Selection, why: str) -> int:
    """Mark held rows as not wanted, with the reason; return how many there were.

    Raises
    ------
    QuarantineError
        If nothing is selected or no reason is given.
    """
    from tideline.serving.lock import exclusive

    condition, bound = selection.required().where()
    if not why.strip():
        raise QuarantineError("say why the rows are discarded: somebody will ask")
    with exclusive(folder(settings.root) / "lock", "discard"), open_quarantine(settings) as connection:
        connection.execute(
            f"create temp table wanted as select batch_id, row_number, rule, $why as why from quarantined "
            f"where state = 'held' and {condition}",
            {**bound, "why": why},
        )
        rows = connection.execute("select batch_id, row_number from wanted order by all").fetchall()
        if rows:
            target = folder(settings.root) / "discarded"
            target.mkdir(mode=0o700, exist_ok=True)
            name = sha256(repr(rows).encode()).hexdigest()[:16]
            part = target / f".{name}.part"
            connection.execute(f"copy (from wanted order by all) to {quoting.text(part)} {PARQUET}")
            part.chmod(0o600)
            sync(part)
            part.replace(target / f"{name}.parquet")
            sync(target)
    return len(rows)


def count_decided(root: Path, batches: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Count the released and the discarded rows by batch and rule, of the releases among `batches` and all discards."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for batch in batches:
        for rule, rows in batch.get("released", {}).items():
            released, discarded = counts.get((batch["released_from"], rule), (0, 0))
            counts[batch["released_from"], rule] = (released + rows, discarded)
    with duckdb.connect() as connection:
        _view(connection, "discarded", f"{DECIDED}, why varchar", _discards(root))
        gone = connection.execute("select batch_id, rule, count(*) from discarded group by all").fetchall()
    for batch_id, rule, rows in gone:
        counts[batch_id, rule] = (counts.get((batch_id, rule), (0, 0))[0], rows)
    return counts


def now() -> datetime:
    """Return the moment of a decision: recorded, and never part of a window's result."""
    return datetime.now(UTC)


def _discards(root: Path) -> list[Path]:
    return sorted((root / "quarantine" / "discarded").glob("[!.]*.parquet"))


def _view(connection: duckdb.DuckDBPyConnection, name: str, columns: str, files: Sequence[Path]) -> None:
    if files:
        paths = ", ".join(quoting.text(file) for file in files)
        connection.execute(f"create view {name} as from read_parquet([{paths}])")
    else:
        connection.execute(f"create table {name} ({columns})")


def _dicts(answer: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

"""One intake: what is new in the landing folder becomes batches of the lake, each row accounted for."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embeddings.settings import Settings
from tideline.dbt import PROJECT, build
from tideline.intake.accounts import Account, judge, settle
from tideline.intake.batches import write_batch
from tideline.intake.declaration import Declaration, read_declaration
from tideline.intake.files import LandingFile, find_files, select_new
from tideline.intake.lake import list_batches
from tideline.intake.landing import connect, load_files
from tideline.intake.lateness import known_as_of

log = logging.getLogger(__name__)
STAGING = PROJECT / "models" / "staging"
SELECTION = ("+int_landed_events__judged", "+int_landed_items__judged")
TICK = timedelta(microseconds=1)
DATABASE = "warehouse.duckdb"
"""As a run's: dbt parses its project once for each name, and parsing takes longer than an intake."""
LEFTOVER_SECONDS = 24 * 3600.0
COUNTED = ("rows_read", "accepted", "quarantined", "ignored", "events", "items")


def take_in(settings: Settings, *, landed_at: datetime | None = None) -> dict[str, int]:
    """Take every new landing file into the lake, one immutable batch a file.

    A file is known by its name, size and time of change, else by its content: what was taken in once costs nothing
    later. Two intakes may overlap; the first to commit a batch wins, and both end with the same lake.

    Parameters
    ----------
    landed_at
        When the files landed (now, if not given; UTC if it has no zone). It bounds how far in the future an event may
        lie, and is never part of a window.

    Returns
    -------
    dict
        `files` found, `batches` added, `unreadable_files` among them, `unsettled_files` left for the next intake, and
        the sums over the added batches: `rows_read`, `accepted`, `quarantined`, `ignored`, `events`, `items`.

    Raises
    ------
    LandingError
        If a folder, file or column is missing, or a column has another type; nothing is written then.
    LostRowsError
        If a staging model drops rows.
    StagingError, tideline.dbt.WarehouseError
        If a staging model fails.
    """
    declaration = read_declaration(settings.source, STAGING)
    batches = list_batches(settings.root)
    files = find_files(settings.landing_path, declaration, batches)
    new, unsettled = select_new(files, settings.source, batches)
    counts = dict.fromkeys(("files", "batches", "unreadable_files", "unsettled_files", *COUNTED), 0)
    counts |= {"files": len(files), "unsettled_files": len(unsettled)}
    if new:
        # Of events that landed twice the first counts, so that a clock put back must not let a later batch come first.
        after = [_in_utc(datetime.fromisoformat(batch["landed_at"])) + TICK for batch in batches]
        moment = _in_utc(landed_at) if landed_at else max([datetime.now(UTC), *after])
        for name, number in _take_in_new(settings, declaration, new, moment).items():
            counts[name] += number
    return counts


def _take_in_new(
    settings: Settings, declaration: Declaration, new: list[LandingFile], landed_at: datetime
) -> dict[str, int]:
    scratch = open_scratch(settings.root)
    known = known_as_of(settings.root)
    try:
        database = scratch / DATABASE
        with connect(database, settings) as connection:
            landed, unsettled = load_files(connection, declaration, new, landed_at, scratch)
        build_judgement(database, scratch, settings)
        counts = dict.fromkeys(("batches", "unreadable_files", *COUNTED), 0)
        counts["unsettled_files"] = len(unsettled)
        with connect(database, settings) as connection:
            judge(connection)
            accounts = settle(connection, landed)
            for entry in landed:
                account = accounts[entry.file.name]
                if entry.unreadable:
                    account = Account(reasons={"unreadable_file": 0})
                    log.warning("%s is quarantined: %s", entry.file.name, entry.unreadable)
                if write_batch(
                    connection,
                    settings.root,
                    settings.source,
                    landed_at,
                    entry,
                    account,
                    scratch,
                    known_as_of=known,
                ):
                    counts["batches"] += 1
                    counts["unreadable_files"] += entry.unreadable is not None
                    for name in COUNTED:
                        counts[name] += getattr(account, name)
        return counts
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def build_judgement(database: Path, scratch: Path, settings: Settings) -> None:
    """Build the staging models and the judgement over the raw rows of an intake's DuckDB file."""
    build(
        database,
        select=SELECTION,
        exclude=("test_type:unit",),
        source=settings.source,
        vars={},  # a batch is immutable: it may not depend on what one run was given
        target_path=scratch / "dbt",
        cache=settings.root / "cache" / "dbt",
        settings=settings,
    )


def open_scratch(root: Path) -> Path:
    """Make this intake's private folder, and remove what a killed one left a day ago: it holds raw rows."""
    folder = root / "intake"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for leftover in folder.iterdir():
        if time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=folder))


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

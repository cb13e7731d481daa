"""Compaction: many small batches of the lake become one pack. No row, no batch and no account changes.

A pack is written aside and renamed into place, and from then on it is what readers find. The folders that it stands for
go later: when nobody who opened them can still be reading, and no run in progress resolved its inputs before the pack.
A process killed in between leaves rows in two places, of which one counts (`lake`), and the next compaction goes on.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import duckdb

from embeddings import checksums
from embeddings.settings import Settings
from tideline import contracts
from tideline.intake import quoting
from tideline.intake.batches import PARQUET, sync
from tideline.intake.lake import PACK, RECORDS, RELEASED, Unit, lake, list_units, place_batches
from tideline.intake.process import open_scratch

log = logging.getLogger(__name__)
TIERS = (1 << 20, 1 << 23, 1 << 26)
"""Sizes in bytes. Folders of one tier are merged with their like, so that a row is rewritten once a tier and a day at
most; one above the last tier is large enough as it is."""
FEWEST = 8
"""Fewer folders of a tier are not worth a pack."""
GRACE = timedelta(hours=1)
"""How long after a pack appeared somebody may still open the folders that it stands for."""
CARD = "pack.json"
ORDER = {"events": "event_at, event_id, batch_id", "items": "item_id, updated_at, title, batch_id"}


class CompactionError(RuntimeError):
    """A pack would not hold what its batches hold; nothing was changed. The message names the batches."""


def compact_lake(settings: Settings, now: datetime, pinned_since: Collection[datetime]) -> dict[str, int]:
    """Merge small folders of batches that landed long enough ago, and remove those that an older pack stands for.

    Parameters
    ----------
    now
        The present, UTC: what landed `settings.compact_after_days` before it may be packed.
    pinned_since
        When each run that may be at work pinned its inputs.

    Returns
    -------
    dict
        `packs` written, `packed_batches`, `removed_folders`, and the `folders` that there are now.

    Raises
    ------
    CompactionError
        If a pack does not hold what its batches hold: one of their files is damaged.
    """
    with lake_lock(settings.root, "compaction"):
        counts = {"removed_folders": _remove_superseded(settings.root, now, min(pinned_since, default=now))}
        scratch = open_scratch(settings.root)
        try:
            packs = [_write_pack(settings, group, now, scratch) for group in _choose(settings, now)]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    counts |= {"packs": len(packs), "packed_batches": sum(packs)}
    return {**counts, "folders": len({unit.folder for unit in place_batches(list_units(settings.root)).values()})}


@contextmanager
def lake_lock(root: Path, holder: str) -> Iterator[None]:
    """Hold off whoever removes folders of the lake; intake adds to it meanwhile."""
    from tideline.serving.lock import exclusive

    file = root / "lake" / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(file, holder):
        yield


def _choose(settings: Settings, now: datetime) -> Iterator[list[Unit]]:
    """Choose the folders of each pack: of each tier all, where there are enough."""
    before = (now - timedelta(days=settings.compact_after_days)).astimezone(UTC)
    units = list_units(settings.root)
    counted = {unit.folder for unit in place_batches(units).values()}
    tiers: list[list[Unit]] = [[] for _ in TIERS]
    for unit in units:
        landed = max(datetime.fromisoformat(batch["landed_at"]) for batch in unit.batches)
        size = sum(file.stat().st_size for file in unit.folder.glob("*.parquet"))
        tier = next((n for n, limit in enumerate(TIERS) if size < limit), None)
        if tier is not None and unit.folder in counted and landed < before:
            tiers[tier].append(unit)
    yield from (tier for tier in tiers if len(tier) >= FEWEST)


def _write_pack(settings: Settings, units: Sequence[Unit], now: datetime, scratch: Path) -> int:
    """Write the pack of some folders; return how many batches it has."""
    batches = sorted(
        (batch for unit in units for batch in unit.batches), key=lambda batch: (batch["landed_at"], batch["batch_id"])
    )
    name = PACK + sha256("\n".join(sorted(batch["batch_id"] for batch in batches)).encode()).hexdigest()[:16]
    for unit in units:
        if changed := checksums.damaged(unit.folder)[1]:
            raise CompactionError(f"{', '.join(changed)} of {unit.folder} changed on the disk: see the task `scrub`")
    part = scratch / name
    part.mkdir()
    spill = {"temp_directory": str(scratch / "spill"), "preserve_insertion_order": False}
    config = {"threads": settings.threads, "memory_limit": settings.memory_limit, **spill}
    with duckdb.connect(config=config) as connection:
        for table, columns in (("events", contracts.LAKE_EVENTS), ("items", contracts.LAKE_ITEMS)):
            _merge(connection, units, f"{table}.parquet", part, columns, ORDER[table])
            _check(connection, part / f"{table}.parquet", {batch["batch_id"]: batch[table] for batch in batches})
        decided = (contracts.QUARANTINE[0], contracts.QUARANTINE[3], contracts.QUARANTINE[4])
        _merge(connection, units, RELEASED, part, decided, "batch_id, row_number")
    (part / RECORDS).write_text("".join(json.dumps(batch) + "\n" for batch in batches))
    (part / CARD).write_text(json.dumps({"made_at": now.isoformat(), "batches": len(batches)}))
    checksums.record(part, ["*.parquet", RECORDS, CARD])
    for written in (*part.iterdir(), part):
        sync(written)
    target = lake(settings.root) / name
    if not target.exists():
        part.rename(target)
        sync(target.parent)
    log.info("%s holds %d batches that had %d folders", name, len(batches), len(units))
    return len(batches)


def _merge(
    connection: duckdb.DuckDBPyConnection,
    units: Sequence[Unit],
    name: str,
    part: Path,
    columns: Sequence[contracts.Column],
    order: str,
) -> None:
    files = [file for unit in units if (file := unit.folder / name).exists()]
    if files:
        listed = ", ".join(f"cast({column.name} as {column.type}) as {column.name}" for column in columns)
        origin = f"read_parquet([{', '.join(quoting.text(file) for file in files)}], union_by_name = true)"
        connection.execute(
            f"copy (select {listed} from {origin} order by {order}) to {quoting.text(part / name)} {PARQUET}"
        )


def _check(connection: duckdb.DuckDBPyConnection, file: Path, expected: dict[str, int]) -> None:
    """Compare the rows of each batch with its account."""
    found: dict[str, int] = {}
    if file.exists():
        counted = f"select batch_id, count(*) from read_parquet({quoting.text(file)}) group by batch_id"
        found = dict(connection.execute(counted).fetchall())
    if wrong := [batch_id for batch_id, rows in expected.items() if found.get(batch_id, 0) != rows]:
        raise CompactionError(
            f"{file.stem} of batch {', '.join(wrong[:5])} have other rows than its batch.json says: the lake is damaged"
        )


def _remove_superseded(root: Path, now: datetime, oldest_pin: datetime) -> int:
    """Remove folders all of whose batches are in a pack that is old enough; return how many went."""
    for left in lake(root).glob(".gone-*"):
        shutil.rmtree(left, ignore_errors=True)
    units = list_units(root)
    places = place_batches(units)
    removed = 0
    for unit in units:
        packs = {places[batch["batch_id"]].folder for batch in unit.batches} - {unit.folder}
        superseded = all(places[batch["batch_id"]].folder != unit.folder for batch in unit.batches)
        if superseded and all(_made(pack) + GRACE <= min(now, oldest_pin) for pack in packs):
            gone = unit.folder.with_name(f".gone-{unit.folder.name}")
            unit.folder.rename(gone)  # at once: half a folder would still be one
            shutil.rmtree(gone, ignore_errors=True)
            removed += 1
    return removed


def _made(pack: Path) -> datetime:
    return datetime.fromisoformat(json.loads((pack / CARD).read_text())["made_at"])

"""The scrub: files that lie on the disk are read again and compared with what they were when they were written.

`check_inputs` is its small sister: before a run is published, what it was made of is compared once more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb

from embeddings import checksums
from embeddings.settings import Settings
from embeddings.table_files import tables_of
from tideline.intake.lake import lake, list_units, place_batches
from tideline.models import damaged_versions
from tideline.run import Run
from tideline.serving.manifest import list_manifests
from tideline.serving.pointer import list_snapshots, serving_folder
from tideline.serving.retention import MARKER
from tideline.serving.tables import literal

log = logging.getLogger(__name__)
BATCH = "put {folder} back from a backup, then rerun the windows that used it"
RUN = "clear the run from its first task; hours that stand on it too"
LEDGER = "move {folder} away: the next run embeds its texts again"
VECTORS = (
    "move {folder} away, then clear `publish` of the last night and of the hours after it: their files make it again"
)
SNAPSHOT = "move {file} away, then publish again: the pointer goes back to the last whole generation"
MODEL = "make another version champion (`make models ACTION=back`), then move {folder} away"


class DamagedError(RuntimeError):
    """A file that a run was made of changed on the disk; the message names it and says what to do."""


class Finding(NamedTuple):
    """A file whose content is not what was written."""

    kind: str
    """`batch`, `run`, `vectors`, `snapshot` or `model`."""
    file: str
    """Relative to the home."""
    remedy: str
    """What to do, one sentence."""


class Scrubbed(NamedTuple):
    """What a scrub compared, and what it found."""

    counts: dict[str, int]
    """Files compared of each kind: `batch`, `run`, `vectors`, `snapshot`, `model`; `unrecorded`, files of before
    checksums were kept, of which nothing can be told."""
    findings: list[Finding]


def scrub(settings: Settings) -> Scrubbed:
    """Read everything that nobody may change: batches, tables of kept runs, vectors, snapshots, trained versions.

    It takes no lock, changes nothing, and may run beside everything else: what is being written is not yet recorded,
    and what retention takes meanwhile is passed over. It reads each byte once.

    Returns
    -------
    Scrubbed
        Counts, and a finding for each damaged file; empty if all is well.
    """
    root = settings.root
    counts = dict.fromkeys(("batch", "run", "vectors", "snapshot", "model", "unrecorded"), 0)
    findings = []
    for kind, folder, remedy in _folders(root):
        compared, changed = checksums.damaged(folder)
        counts[kind] += compared
        counts["unrecorded"] += compared == 0
        told = remedy.format(folder=folder)
        findings += [Finding(kind, (folder / name).relative_to(root).as_posix(), told) for name in changed]
    for snapshot in list_snapshots(serving_folder(root)):
        counts["snapshot"] += 1
        if not _is_whole(snapshot.path, settings):
            file = snapshot.path.relative_to(root).as_posix()
            findings.append(Finding("snapshot", file, SNAPSHOT.format(file=snapshot.path)))
    versions, changed = damaged_versions(root)
    counts["model"] += versions
    findings += [Finding("model", f"models/{name}", MODEL.format(folder=root / "models" / name)) for name in changed]
    for finding in findings:
        log.error("%s changed on the disk: %s", finding.file, finding.remedy)
    return Scrubbed(counts, findings)


def check_inputs(run: Run) -> int:
    """Compare, before a run is published, its batches and its own files with what was recorded; return how many.

    A night compares every batch, an hour only those that no committed run has used: what lies in the lake for longer,
    and the tables of its base, are for the scrub, so that an hour costs what is new.

    Raises
    ------
    DamagedError
        If one of them changed.
    """
    pinned = run.batches if run.of_everyone else run.new_batches
    compared, found = 0, []
    places = place_batches(list_units(run.root))
    folders = {places[batch].folder if batch in places else lake(run.root) / batch for batch in pinned}
    for folder in (*sorted(folders), run.path):
        files, changed = checksums.damaged(folder)
        compared += files
        remedy = (RUN if folder == run.path else BATCH).format(folder=folder)
        found += [f"{folder / name} changed on the disk since it was written: {remedy}" for name in changed]
    if found:
        raise DamagedError("; ".join(found))
    return compared


def _folders(root: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield kind, folder and remedy of everything that has recorded checksums."""
    for folder in sorted(lake(root).glob("[!.]*")):
        yield "batch", folder, BATCH
    ended = {entry.run_id for entry in list_manifests(root)}
    for folder in sorted((root / "runs").glob("*")):
        # A run in progress writes its files anew whenever a stage is repeated.
        if folder.name in ended or (folder / MARKER).exists():
            yield "run", folder, RUN
    for folder in tables_of(root):
        yield "vectors", folder, LEDGER if folder.name.startswith("text_vectors") else VECTORS


def _is_whole(file: Path, settings: Settings) -> bool:
    """Say whether every block of a snapshot can be read: DuckDB compares the checksum of each."""
    try:
        with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as desk:
            desk.execute(f"attach {literal(str(file))} as snapshot (read_only)")
            tables = desk.execute("select table_name from duckdb_tables() where database_name = 'snapshot'").fetchall()
            for (table,) in tables:
                desk.execute(f'select sum(hash(line)) from snapshot."{table}" as line').fetchone()
            return bool(tables)
    except duckdb.Error:
        # Gone by now: retention took it.
        return not file.exists()

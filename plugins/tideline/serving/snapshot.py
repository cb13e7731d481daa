"""Snapshot files: built afresh, or copied byte for byte and changed for some users; sealed before anybody sees them.

A snapshot is made in the run's own folder, as `next` on the run's desk, so that a nightly's tables are copied before
the publishers' lock is taken and nobody waits for them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import duckdb

from embeddings.failpoints import failpoint
from tideline.run import Run
from tideline.serving.layer import utc
from tideline.serving.pointer import SnapshotError, current_snapshot, serving_folder, sync
from tideline.serving.tables import ORDER, attach, columns, copy_table, index_users, shared_columns, transaction

FICLONE = 0x40049409
"""`ioctl` of Linux that makes a file share the blocks of another (Btrfs, XFS)."""
AHEAD = "ahead_"


def working_file(run: Run) -> Path:
    """Return where the run makes its snapshot."""
    return run.path / "snapshot.duckdb"


def discard(run: Run) -> None:
    """Remove what an attempt left at `working_file`, its write-ahead log included."""
    file = working_file(run)
    for path in (file, Path(f"{file}.wal")):
        path.unlink(missing_ok=True)


def discard_all(run: Run) -> None:
    """Remove also what was copied ahead."""
    discard(run)
    for path in run.path.glob(f"{AHEAD}*"):
        path.unlink()


def build_afresh(desk: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Make `next` of the run's own tables; the layer of the other kind is empty."""
    discard(run)
    attach(desk, working_file(run), "next", read_only=False)
    other = {"nightly": "hourly_recommendations", "hourly": "nightly_recommendations"}[run.kind]
    with transaction(desk):
        for table in ORDER:
            copy_table(desk, "built", table, empty=table == other)
        index_users(desk, "next")
    desk.execute("checkpoint next")  # most bytes go to the disk here, outside the lock


def keep_later_rows(desk: duckdb.DuckDBPyConnection) -> None:
    """Carry over to a nightly's `next` what the users in `barred` have from later hours."""
    for table in ("hourly_recommendations", "user_interests"):
        listed = shared_columns(desk, "present", table)
        desk.execute(f"delete from next.{table} where user_id in (from barred)")
        desk.execute(
            f"insert into next.{table} ({listed}) select {listed} from present.{table} "
            f"where user_id in (from barred) order by {ORDER[table]}"
        )
    _take_larger_intake(desk)


def copy_ahead(run: Run) -> int:
    """Copy the current snapshot into the run's folder, for the publication to begin from; return the bytes copied.

    A published file never changes, so this needs no lock, and the copy is on the disk by the time the run's rows are
    there. If another run commits in between, `copy_present` copies anew. Where files can share blocks nothing is done.
    """
    present = current_snapshot(serving_folder(run.root))
    if present is None:
        return 0
    target = _ahead(run, present.path)
    if target.exists():
        return 0
    part = target.with_suffix(".part")
    try:
        copied = _copy(present.path, part)
    except FileNotFoundError:
        return 0  # cleaned up meanwhile: then there is a newer one, and `copy_present` copies that
    if copied:
        sync(part)
        part.rename(target)
    else:
        part.unlink()
    return copied


def copy_present(desk: duckdb.DuckDBPyConnection, run: Run, present: Path) -> int:
    """Make `next` a copy of the present snapshot, by reflink where the file system offers it; return bytes copied.

    A copy that `copy_ahead` made of that very snapshot is taken.
    """
    discard(run)
    file, ahead = working_file(run), _ahead(run, present)
    if ahead.exists():
        ahead.rename(file)
        copied = present.stat().st_size
    else:
        discard_all(run)  # what was copied of an older one
        copied = _copy(present, file)
    attach(desk, file, "next", read_only=False)
    return copied


def replace_users(desk: duckdb.DuckDBPyConnection, run: Run, *, has_night: bool) -> None:
    """Replace, in a copied `next`, the rows of the hour's users, those in `barred` apart."""
    mine = "user_id in (from arriving) and user_id not in (from barred)"
    newest = desk.execute(
        "select coalesce(max(as_of), timestamp '-infinity') from next.hourly_recommendations"
    ).fetchone()
    for table in ("hourly_recommendations", "user_interests"):
        listed = shared_columns(desk, "built", table)
        desk.execute(f"delete from next.{table} where {mine}")
        desk.execute(
            f"insert into next.{table} ({listed}) select {listed} from built.{table} "
            f"where {mine} order by {ORDER[table]}"
        )
    if not has_night and newest and newest[0] <= utc(run.window.as_of):
        # Hours before the first nightly build their own item tables, and the last hour's know the most.
        for table in ("items", "popular_recommendations", "popular_by_category"):
            copy_table(desk, "built", table)
    _take_larger_intake(desk)


def layers_of_next(desk: duckdb.DuckDBPyConnection, run: Run, night: str | None) -> dict[str, object]:
    """Return the layers of `next`: the generation of the nightly layer, and those of hours that have rows."""
    rows = desk.execute(
        "select generation from next.hourly_recommendations union select generation from next.user_interests"
    ).fetchall()
    hours = {row[0] for row in rows} | ({run.generation} if run.kind == "hourly" else set())
    return {"nightly": night, "hours": sorted(hours - {night})}


def seal(desk: duckdb.DuckDBPyConnection, run: Run) -> int:
    """Close `next` as one self-contained, read-only file that is on the disk; return its bytes.

    Raises
    ------
    SnapshotError
        If a write-ahead log is left.
    """
    file = working_file(run)
    failpoint("snapshot.seal.before")
    desk.execute("checkpoint next")
    desk.execute("detach next")
    if Path(f"{file}.wal").exists():
        raise SnapshotError(f"{file} still has a write-ahead log after its checkpoint: rerun the task")
    file.chmod(0o444)
    sync(file)
    failpoint("snapshot.seal.after")
    return file.stat().st_size


def place(run: Run, target: Path) -> None:
    """Give the sealed file its published name, which no file has had before."""
    if target.exists() or Path(f"{target}.wal").exists():
        raise SnapshotError(f"{target} or its .wal exists already: move it away, then rerun the task")
    failpoint("snapshot.rename.before")
    working_file(run).rename(target)
    failpoint("snapshot.rename.after")
    sync(target.parent)


def _take_larger_intake(desk: duckdb.DuckDBPyConnection) -> None:
    """Show the intake of the run, unless the present one knows batches that the run has not pinned."""
    row = desk.execute(
        "select count(*) from (select batch_id from present.intake except select batch_id from built.intake)"
    ).fetchone()
    origin = "present" if row and row[0] else "built"
    for table in ("intake", "quarantine_summary"):
        if columns(desk, origin, table):
            copy_table(desk, origin, table)


def _ahead(run: Run, present: Path) -> Path:
    """Return the copy of a snapshot that was made before the run published; its name says of which."""
    return run.path / f"{AHEAD}{present.name}"


def _copy(origin: Path, target: Path) -> int:
    """Copy a file, sharing its blocks where the file system can; return the bytes that were really copied."""
    if _reflink(origin, target):
        return 0
    shutil.copyfile(origin, target)
    return target.stat().st_size


def _reflink(origin: Path, target: Path) -> bool:
    with origin.open("rb") as source, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, source.fileno())
        except OSError:
            return False
        return os.fstat(copy.fileno()).st_size == os.fstat(source.fileno()).st_size

"""What a publisher mends before it starts: a torn pointer, and write-ahead logs that strangers left."""

from __future__ import annotations

import logging
from pathlib import Path

from tideline.serving.manifest import list_manifests
from tideline.serving.pointer import (
    POINTER,
    Snapshot,
    SnapshotError,
    current_snapshot,
    list_snapshots,
    serving_folder,
    swap,
)

log = logging.getLogger(__name__)


def present_snapshot(root: Path) -> Snapshot | None:
    """Return the current snapshot, None if nothing was published.

    A pointer that is gone, or whose file is, is first moved back to the last whole commit: else the next hour would
    start from nothing, and everybody's nightly rows would go. Call it under the publishers' lock.

    Raises
    ------
    SnapshotError
        If the pointer is not ours, or no commit is whole.
    """
    serving = serving_folder(root)
    try:
        current = current_snapshot(serving)
        reason = f"{serving / POINTER} is gone"
    except SnapshotError as error:
        if not (serving / POINTER).is_symlink():
            raise
        current, reason = None, str(error)
    if current:
        return current
    committed = {entry.snapshot for entry in list_manifests(root) if entry.committed}
    whole = [snapshot for snapshot in list_snapshots(serving) if snapshot.path.name in committed]
    if whole:
        log.warning("%s; going back to %s", reason, whole[-1].path.name)
        swap(serving, whole[-1].path)
        return whole[-1]
    if (serving / POINTER).is_symlink():
        raise SnapshotError(f"{reason}, and no snapshot of a commit is left: restore a backup, or remove the pointer")
    return None


def move_logs_aside(serving: Path, fence: int) -> list[str]:
    """Rename write-ahead logs beside the pointer and the snapshots; return the new names.

    Publishers leave none, so somebody opened a published file for writing. DuckDB would replay such a log for every
    reader that opens the pointer's path, also after the pointer has moved on to a file that the log is not of.
    """
    moved = []
    logs = [serving / f"{POINTER}.wal", *(Path(f"{snapshot.path}.wal") for snapshot in list_snapshots(serving))]
    for file in logs:
        if file.exists():
            aside = file.with_name(f"stray_{fence}_{file.name}")
            file.rename(aside)
            moved.append(aside.name)
            log.warning("%s: somebody opened it for writing; its log is now %s", file.stem, aside.name)
    return moved

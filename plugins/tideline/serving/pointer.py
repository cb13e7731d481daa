"""Names in `<root>/serving/`, and the one pointer that says which snapshot is current.

```
serving/current.duckdb -> snap_<generation>_<fence>.duckdb      the pointer, a relative symlink
serving/generations/<generation>.json                           manifests
serving/shown/<generation>.parquet                             what it recommended to whom, for some days
serving/lock, serving/fence                                     the publishers' lock and the last fencing number
```

A snapshot's name is used once: it carries the fencing number of its commit. So no file is ever renamed over a path
that may have a write-ahead log, which DuckDB would replay into the new file without a word.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from embeddings.failpoints import failpoint

POINTER = "current.duckdb"
GENERATION = re.compile(r"\d{8}T\d{6}Z-(?:nightly|hourly)-[0-9a-f]{8}")
SNAPSHOT = re.compile(rf"snap_(?P<generation>{GENERATION.pattern})_(?P<fence>\d+)\.duckdb")


class NothingPublishedError(FileNotFoundError):
    """There is no published snapshot, or none of the generation asked for."""


class SnapshotError(RuntimeError):
    """What is published is damaged, or is not ours; the message says what to do."""


class Snapshot(NamedTuple):
    """One snapshot file, told by its name."""

    path: Path
    generation: str
    fence: int


def serving_folder(root: Path) -> Path:
    """Return the folder of everything that is published."""
    return root / "serving"


def read_name(path: Path) -> Snapshot | None:
    """Return what a file's name says, or None for a file that is no snapshot of ours."""
    match = SNAPSHOT.fullmatch(path.name)
    return Snapshot(path, match["generation"], int(match["fence"])) if match else None


def snapshot_path(serving: Path, generation: str, fence: int) -> Path:
    """Return the path of the snapshot that a commit writes."""
    return serving / f"snap_{generation}_{fence}.duckdb"


def list_snapshots(serving: Path) -> list[Snapshot]:
    """Return all snapshots, oldest commit first. Files with other names are not ours and are not listed."""
    found = [read_name(path) for path in serving.glob("snap_*.duckdb")]
    return sorted((snapshot for snapshot in found if snapshot), key=lambda snapshot: snapshot.fence)


def current_snapshot(serving: Path) -> Snapshot | None:
    """Follow the pointer once.

    Returns
    -------
    Snapshot or None
        None if nothing was published yet.

    Raises
    ------
    SnapshotError
        If the pointer is not a symlink to a snapshot, or that file is gone.
    """
    pointer = serving / POINTER
    if not os.path.lexists(pointer):
        return None
    target = read_name(serving / pointer.readlink()) if pointer.is_symlink() else None
    if target is None or target.path.parent != serving:
        raise SnapshotError(f"{pointer} is not a link to a snapshot beside it: move it away, then publish again")
    if not target.path.exists():
        raise SnapshotError(f"{pointer} points to {target.path.name}, which is gone: publish again (`make run`)")
    return target


def swap(serving: Path, target: Path) -> None:
    """Point readers at another snapshot, in one step: whoever opens the pointer gets the old file or the new one."""
    part = serving / f".{POINTER}.part"
    part.unlink(missing_ok=True)
    part.symlink_to(target.name)
    failpoint("pointer.swap.before")
    part.replace(serving / POINTER)
    failpoint("pointer.swap.after")
    sync(serving)


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

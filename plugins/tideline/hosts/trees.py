"""Files of a home as entries of a ref: laid out from a worker's cache, compared with what a stage left, uploaded.

A path is relative to the home. What lies in the cache never changes, so most files are hard links to it; what a stage
writes in place is copied.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from embeddings.checksums import digest
from tideline.hosts.objects import Objects

AT_A_TIME = 16
LINKED = (".parquet", ".lance", ".manifest", ".safetensors", ".npy", ".npz", ".arrow")
"""Files that nobody writes in place: another of the same name is made aside and renamed."""
POINTS = "->"
UNUSED_SECONDS = 2 * 24 * 3600.0
LOOK_SECONDS = 3600.0
FRESH_SECONDS = 6 * 3600.0
"""Content that was written longer ago is written again: what no ref lists any more may just be being deleted."""


class DamagedBlobError(RuntimeError):
    """An object has not the content that its name says."""


class Entry(NamedTuple):
    """A file: its key in the store, bytes, and time of change in ns; for a symlink `->` and where it points to."""

    key: str
    size: int
    mtime_ns: int


Entries = Mapping[str, Entry]
Laid = dict[str, tuple[Entry, tuple[int, int] | None]]
"""What was laid out: by path its entry, and size and time of change as they are here; None where it was left out."""


def entries_of(values: Mapping[str, list[object]]) -> dict[str, Entry]:
    """Read the entries of a ref."""
    return {path: Entry(str(key), int(str(size)), int(str(mtime))) for path, (key, size, mtime) in values.items()}


class Cache:
    """Content of the store on this worker's disk, by key; several tasks may use it at a time."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        self.folder = folder
        self.objects = objects
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def file(self, entry: Entry) -> Path:
        """Return where the content of an entry lies, if it is here."""
        return self.folder / entry.key.replace("/", "_")

    def fetch(self, entry: Entry) -> Path:
        """Return a file with the content of an entry, downloaded if it is not here yet.

        Raises
        ------
        DamagedBlobError
            If what the store has is not what the key says.
        """
        file = self.file(entry)
        if file.exists():
            os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns))  # when it was last used, for `prune`
            return file
        part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
        said = hashlib.sha256()
        try:
            with part.open("wb") as stream:

                def take(block: bytes) -> None:
                    said.update(block)
                    stream.write(block)

                self.objects.get_file(entry.key, take)
            if entry.key.startswith("blobs/") and Path(entry.key).name != said.hexdigest():
                raise DamagedBlobError(f"{entry.key} is damaged in the store: restore the object, then rerun the task")
            os.utime(part, ns=(entry.mtime_ns, entry.mtime_ns))
            part.chmod(0o444)
            _keep(part, file)
        finally:
            part.unlink(missing_ok=True)
        return file

    def prune(self) -> int:
        """Remove what nobody has used for days; return how many files went. It looks once an hour."""
        looked, now = self.folder / ".pruned", time.time()
        if looked.exists() and now - looked.stat().st_mtime < LOOK_SECONDS:
            return 0
        looked.touch()
        old = [file for file in self.folder.iterdir() if now - file.stat().st_atime > UNUSED_SECONDS]
        for file in old:
            file.unlink(missing_ok=True)
        return len(old)

    def upload(self, file: Path, path: str) -> Entry:
        """Upload a file of a home unless the store is known to have it, and keep it here; return its entry."""
        stat = file.stat()
        # A snapshot's name is used once, and readers should be able to tell it.
        named = is_snapshot(path)
        sha = "" if named else digest(file)
        entry = Entry(path if named else f"blobs/{sha[:2]}/{sha}", stat.st_size, stat.st_mtime_ns)
        kept = self.file(entry)
        age = self.objects.age(entry.key) if kept.exists() else None
        if age is None or age > FRESH_SECONDS:
            self.objects.put_file(entry.key, file)
        if not kept.exists():
            part = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}.part")
            try:
                (os.link if _is_linked(path) else shutil.copy2)(file, part)
                _keep(part, kept)
            finally:
                part.unlink(missing_ok=True)
        return entry


def lay_out(
    entries: Entries,
    root: Path,
    cache: Cache,
    left_out: Callable[[str], bool] = lambda path: False,
    empty: Callable[[str], bool] = lambda path: False,
) -> Laid:
    """Put files where they belong below a root, of some the name alone, `empty`; return what was laid out."""
    laid: Laid = {path: (entry, None) for path, entry in entries.items()}
    wanted = [path for path in entries if not left_out(path)]
    for folder in {(root / path).parent for path in wanted}:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def place(path: str) -> Path:
        entry, file = entries[path], root / path
        file.unlink(missing_ok=True)
        if empty(path):
            file.touch()
        elif entry.key.startswith(POINTS):
            file.symlink_to(entry.key.removeprefix(POINTS))
        elif _is_linked(path):
            os.link(cache.fetch(entry), file)
        else:
            shutil.copyfile(cache.fetch(entry), file)
            os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
        return file

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        placed = list(pool.map(place, wanted))
    for path, file in zip(wanted, placed, strict=True):
        laid[path] = (entries[path], state(file))
    return laid


def gather(paths: Iterable[Path], root: Path, laid: Laid, cache: Cache) -> dict[str, Entry]:
    """Upload what is new or changed below a root; return the entries of all, those that were left out included."""
    entries = {path: entry for path, (entry, state) in laid.items() if state is None}
    changed: dict[str, Path] = {}
    for file in paths:
        path = file.relative_to(root).as_posix()
        before = laid.get(path)
        if before and before[1] == state(file):
            entries[path] = before[0]
        elif file.is_symlink():
            entries[path] = Entry(f"{POINTS}{file.readlink()}", 0, 0)
        else:
            changed[path] = file
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        uploaded = pool.map(lambda item: cache.upload(item[1], item[0]), changed.items())
        entries |= dict(zip(changed, uploaded, strict=True))
    return entries


def _keep(part: Path, file: Path) -> None:
    """Give a file its name in the cache, unless one is there: what a rename replaces cannot be linked just then."""
    with suppress(FileExistsError):
        os.link(part, file)


def is_snapshot(path: str) -> bool:
    """Say whether a path is that of a published snapshot, whose name is used once."""
    return path.startswith("serving/snap_")


def _is_linked(path: str) -> bool:
    return path.endswith(LINKED) or is_snapshot(path)


def state(file: Path) -> tuple[int, int]:
    """Return what tells that a file was changed: size and time of change; of a symlink, where it points to."""
    if file.is_symlink():
        return hash(str(file.readlink())), 0
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns

"""Checksums of files that never change once written: recorded when they are new, compared by a scrub later.

DuckDB's files carry a checksum for each block and check it whenever they read one. Parquet and Lance files do not:
a byte that the disk turned over would be read as another number, without a word.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embeddings.failpoints import failpoint

SUMS = "checksums.json"
"""Beside what it is of: for each file its name, bytes, time of change in ns and SHA-256."""
TRIES = 3


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record(folder: Path, patterns: Iterable[str]) -> int:
    """Record the files below a folder that match a pattern; those known by size and time are not read again.

    Only call it where nobody else changes these files. What is gone is forgotten. Returns how many files were read.
    """
    if not folder.is_dir():
        return 0
    with _locked(folder):
        known, sums, read = load(folder), {}, 0
        for file in sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}):
            name, stat = file.relative_to(folder).as_posix(), file.stat()
            size, time, told = known.get(name, (None, None, ""))
            if (size, time) != (stat.st_size, stat.st_mtime_ns):
                told, read = digest(file), read + 1
            sums[name] = (stat.st_size, stat.st_mtime_ns, told)
        if sums != known:
            part = folder / f".{SUMS}.part"
            with part.open("w") as stream:
                stream.write(json.dumps(sums, indent=0))
                stream.flush()
                os.fsync(stream.fileno())
            failpoint("checksums.write.before")
            part.replace(folder / SUMS)
            failpoint("checksums.write.after")
    return read


def damaged(folder: Path) -> tuple[int, list[str]]:
    """Compare the files of a folder with what was recorded of them.

    Files that are gone are not damaged: retention takes them, and whoever needs one that is missing hears it from the
    file system.

    Returns
    -------
    int
        How many files were compared.
    list of str
        Names, relative to the folder, of those that changed.
    """
    for _ in range(TRIES):
        before = load(folder)
        found, compared = [], 0
        for name, (_, _, told) in before.items():
            with suppress(FileNotFoundError):
                now = digest(folder / name)
                compared += 1
                if now != told:
                    found.append(name)
        # A stage that was run again meanwhile has written other files of these names.
        if not found or load(folder) == before:
            break
    return compared, found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def load(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return what was recorded of a folder's files: by name bytes, time of change in ns and SHA-256."""
    try:
        return {name: tuple(values) for name, values in json.loads((folder / SUMS).read_text()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError):
        # Damaged itself: whatever it was of counts as damaged.
        return {SUMS: (0, 0, "")}

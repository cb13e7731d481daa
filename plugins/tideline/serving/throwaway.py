"""Throwaway folders: each goes with its session, and those of killed sessions with the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def throwaway_folder(parent: Path) -> Iterator[Path]:
    """Make a private folder below `parent`, and remove it at the end, whatever the end is.

    A session holds a lock on its folder while it lives, which the system drops if it is killed. A folder of `parent`
    without one is what a killed session left: it is removed first.

    Raises
    ------
    PermissionError
        If nothing may be made there.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _opened(parent) as gate:
        # Between its making and its lock, a folder would look like one that was left.
        fcntl.flock(gate, fcntl.LOCK_EX)
        for left in parent.iterdir():
            _remove_if_left(left)
        folder = Path(tempfile.mkdtemp(dir=parent))
        own = os.open(folder, os.O_RDONLY)
        fcntl.flock(own, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(own)


def _remove_if_left(folder: Path) -> None:
    try:
        with _opened(folder) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except (BlockingIOError, FileNotFoundError, NotADirectoryError):
        return  # in use, gone by now, or not ours


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

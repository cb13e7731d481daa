"""The publishers' lock: one commit at a time, each with a fencing number greater than every one before.

Publishers need only what `Lease` offers: a file lock on one machine, a row in Postgres where several hosts publish.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from embeddings.failpoints import failpoint
from embeddings.settings import Settings
from tideline.run import write_atomically
from tideline.serving.pointer import list_snapshots, serving_folder

TIMEOUT = 1800.0
POLL_SECONDS = 0.05


class LockTimeoutError(TimeoutError):
    """Another process holds the lock for too long; the message names it."""


class FencedError(RuntimeError):
    """A later holder has taken over: this one must not change anything any more."""


class Lease(Protocol):
    """The right to commit, as long as `check` does not raise."""

    @property
    def fence(self) -> int:
        """The fencing number of this commit."""
        ...

    def check(self) -> None:
        """Raise `FencedError` if somebody acquired the lock after this lease."""
        ...


class FileLease:
    """A lease whose fencing number is kept in `<serving>/fence`."""

    def __init__(self, serving: Path) -> None:
        self._file = serving / "fence"
        # Names of snapshots count too: a lost or torn file must not make numbers go back.
        used = [_read_number(self._file), *(snapshot.fence for snapshot in list_snapshots(serving))]
        self._fence = max(used) + 1
        failpoint("fence.take.before")
        write_atomically(self._file, f"{self._fence}\n")
        failpoint("fence.take.after")

    @property
    def fence(self) -> int:
        """The fencing number of this commit."""
        return self._fence

    def check(self) -> None:
        """Raise `FencedError` if somebody acquired the lock after this lease."""
        present = _read_number(self._file)
        if present != self._fence:
            raise FencedError(f"commit {self._fence} was overtaken by {present}: nothing was published; rerun the task")


def commit_lock(settings: Settings, holder: str) -> AbstractContextManager[Lease]:
    """Hold the right to publish, on this machine or among all hosts; see `publisher_lock` and `hosts.commit`."""
    if settings.store is None:
        return publisher_lock(serving_folder(settings.root), holder)
    from tideline.hosts.commit import hold_commit

    return hold_commit(settings, holder)


@contextmanager
def publisher_lock(serving: Path, holder: str, timeout: float = TIMEOUT) -> Iterator[Lease]:
    """Hold the publishers' lock and a new fencing number.

    Parameters
    ----------
    holder
        Who asks, for the message to others that wait in vain.

    Raises
    ------
    LockTimeoutError
        If it is not free after `timeout` seconds.
    """
    serving.mkdir(parents=True, exist_ok=True)
    with exclusive(serving / "lock", holder, timeout):
        yield FileLease(serving)


@contextmanager
def exclusive(file: Path, holder: str, timeout: float = TIMEOUT) -> Iterator[None]:
    """Hold an exclusive lock on a file. The kernel frees it when the process ends, however it ends.

    Raises
    ------
    LockTimeoutError
        If it is not free after `timeout` seconds.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                present = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "an unknown process"
                raise LockTimeoutError(f"{file} is held by {present} for over {timeout:.0f} s: end it, then rerun")
            time.sleep(POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}, {holder}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0

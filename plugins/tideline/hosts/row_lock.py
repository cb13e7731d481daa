"""The publishers' lock of many hosts: a row in Postgres that holds the fencing number. The only importer of psycopg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from embeddings.settings import Settings
from tideline.serving.lock import TIMEOUT, FencedError, Lease, LockTimeoutError

TABLE = "tideline_commit"


class CommitLockError(RuntimeError):
    """There is a store and no database for its lock."""


class RowLease:
    """A lease that holds as long as the session that locked the row."""

    def __init__(self, session: psycopg.Connection[Any], name: str, fence: int) -> None:
        self._session, self._name, self._fence = session, name, fence

    @property
    def fence(self) -> int:
        """The fencing number of this commit."""
        return self._fence

    def check(self) -> None:
        """Raise `FencedError` if the session, and with it the lock, is gone, or somebody took it over."""
        try:
            row = self._session.execute(f"select fence from {TABLE} where name = %s", [self._name]).fetchone()
        except psycopg.Error as error:
            raise FencedError(
                f"commit {self._fence} lost its lock in Postgres ({type(error).__name__}): rerun the task"
            ) from None
        if row is None or row[0] != self._fence:
            raise FencedError(f"commit {self._fence} was overtaken by {row and row[0]}: rerun the task")


@contextmanager
def row_lock(settings: Settings, holder: str, timeout: float = TIMEOUT) -> Iterator[Lease]:
    """Hold the row of this store and source, and a fencing number greater than every one before.

    The number is taken in a transaction of its own, so that it stays taken whatever becomes of its holder; then the row
    is locked, if nobody has taken a later one in between. Postgres frees it when the session ends, however it ends.

    Raises
    ------
    CommitLockError
        If `settings.commit_lock` is not set.
    LockTimeoutError
        If the row is not free after `timeout` seconds; the message names its holder.
    """
    if settings.commit_lock is None:
        raise CommitLockError("several hosts publish under one lock: set TIDELINE_COMMIT_LOCK to a Postgres database")
    name = f"{settings.store}/{settings.source}"
    # Keepalives: a host that went away without a word must not hold the row for hours.
    with psycopg.connect(
        settings.commit_lock.get_secret_value(),
        connect_timeout=30,
        application_name=f"tideline {holder}",
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    ) as session:
        _prepare(session, name)
        session.execute("select set_config('lock_timeout', %s, false)", [f"{max(1, int(timeout * 1000))}ms"])
        session.commit()
        try:
            fence = _take(session, name, holder)
        except psycopg.errors.LockNotAvailable:
            session.rollback()
            row = session.execute(f"select holder from {TABLE} where name = %s", [name]).fetchone()
            who = row[0] if row else "an unknown process"
            raise LockTimeoutError(f"{name} is held by {who} for over {timeout:.0f} s: end it, then rerun") from None
        yield RowLease(session, name, fence)


def _prepare(session: psycopg.Connection[Any], name: str) -> None:
    try:
        session.execute(f"create table if not exists {TABLE} (name text primary key, fence bigint, holder text)")
        session.execute(f"insert into {TABLE} values (%s, 0, '') on conflict do nothing", [name])
        session.commit()
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
        session.rollback()  # another publisher makes the table at this moment
        _prepare(session, name)


def _take(session: psycopg.Connection[Any], name: str, holder: str) -> int:
    while True:
        row = session.execute(
            f"update {TABLE} set fence = fence + 1, holder = %s where name = %s returning fence", [holder, name]
        ).fetchone()
        session.commit()
        assert row is not None
        fence = int(row[0])
        row = session.execute(f"select fence from {TABLE} where name = %s for update", [name]).fetchone()
        if row == (fence,):
            return fence
        session.rollback()

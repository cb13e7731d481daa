"""How to read what is published: a locked-down, read-only connection to one snapshot.

Open one per query and close it: a connection keeps the file it has opened, also after newer generations and after the
file was cleaned up. It never waits for a publisher, and everything it reads is of one generation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from embeddings.home import check_home
from embeddings.settings import Settings
from embeddings.table_files import StoreError
from tideline.serving.manifest import list_manifests, read_manifest
from tideline.serving.pointer import NothingPublishedError, SnapshotError, current_snapshot, serving_folder

TRIES = 5
_locking = threading.Lock()


def connect(settings: Settings, generation: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open the current snapshot, or the one of a stored generation, read-only and locked down.

    Such a connection can query, and nothing else: no write, no file, no extension, no other database, no setting. It
    cannot spill to the disk either: a query that needs more than `memory_limit` fails.

    Raises
    ------
    NothingPublishedError
        If nothing was published yet, or not this generation, or retention has removed it.
    SnapshotError
        If the pointer is damaged, or somebody has written to the snapshot.
    HomeError
        If the home is of a newer Tideline.
    ValueError
        If `generation` has not the form of a generation's name.
    """
    return open_snapshot(settings, generation, partial(_open, settings))


def open_snapshot(
    settings: Settings, generation: str | None, opener: Callable[[Path], duckdb.DuckDBPyConnection]
) -> duckdb.DuckDBPyConnection:
    """Open the file of a generation, None for the current one, by `opener`; again if it was cleaned up meanwhile.

    Raises
    ------
    NothingPublishedError, SnapshotError, HomeError, ValueError
        As `connect`.
    """
    check_home(settings.root)
    for attempt in range(TRIES):
        file = _resolve(settings, generation)
        try:
            return opener(file)
        except (duckdb.IOException, StoreError):
            # The file may have been cleaned up since the pointer was read: then there is a newer one.
            if file.exists() or attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def limits(settings: Settings) -> dict[str, str | bool | int]:
    """Return the configuration that every reader's database starts with: resources, and no extension by itself."""
    return {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }


def _resolve(settings: Settings, generation: str | None) -> Path:
    serving = serving_folder(settings.root)
    if generation is None:
        current = current_snapshot(serving)
        if current is None:
            raise NothingPublishedError(f"nothing is published below {settings.root} yet: run `make run` first")
        file = current.path
    else:
        entry = read_manifest(generation, settings.root)
        if entry is None or not (serving / entry.snapshot).exists():
            kept = [e.generation for e in list_manifests(settings.root) if (serving / e.snapshot).exists()]
            state = "was never built" if entry is None else "was cleaned up: rerun its window"
            raise NothingPublishedError(f"generation {generation} {state}; kept are {', '.join(kept) or 'none'}")
        file = serving / entry.snapshot
    log = Path(f"{file}.wal")
    if log.exists():
        raise SnapshotError(f"somebody opened {file.name} for writing and left {log}: move it away or publish again")
    return file


def _open(settings: Settings, file: Path) -> duckdb.DuckDBPyConnection:
    config = {**limits(settings), "enable_external_access": False}
    connection = duckdb.connect(str(file), read_only=True, config=config)
    try:
        # Connections of one process to one file share an instance: the second finds it locked already.
        with _locking:
            if not _is_locked(connection):
                # Without external access DuckDB still lets `copy ... to` write the opened file itself and its log.
                connection.execute("set disabled_filesystems = 'LocalFileSystem'")
                connection.execute("set lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_locked(connection: duckdb.DuckDBPyConnection) -> bool:
    row = connection.execute("select current_setting('lock_configuration')").fetchone()
    return bool(row and row[0])

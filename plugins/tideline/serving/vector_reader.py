"""Vectors by SQL: the published tables, the vectors that their generation was made with, and its nearest items.

DuckDB's lance extension cannot attach a store read-only, and writes to one pass the lockdown that `readers` relies on.
So the store is never attached: a throwaway copy of the generation's version is, and only what reads is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import duckdb

from embeddings.settings import Settings
from embeddings.table_files import StoreError, link_generation
from tideline.contracts import ITEM_VECTORS, USER_VECTORS, Column
from tideline.serving.manifest import read_manifest
from tideline.serving.pointer import SnapshotError, read_name
from tideline.serving.readers import limits, open_snapshot
from tideline.serving.select_only import parse_selects
from tideline.serving.tables import attach, literal
from tideline.serving.throwaway import throwaway_folder

Reader = Callable[[str], Iterator[duckdb.DuckDBPyRelation]]


class VectorTable(NamedTuple):
    """What a table of vectors says of itself; DuckDB has no comments for it."""

    comment: str
    columns: tuple[Column, ...]


VECTOR_TABLES = {
    "item_vectors": VectorTable("Grain: one item that has a vector.", ITEM_VECTORS),
    "user_vectors": VectorTable("Grain: one user. The vectors of both windows and the fused one.", USER_VECTORS),
}
NEAREST = "nearest_items"
_NAMES = re.compile(rf"\b({'|'.join([*VECTOR_TABLES, NEAREST])})\b", re.IGNORECASE)
# Exact: every item is compared. The items' vectors are of unit length, the one asked for need not be.
_NEAREST = f"""
create macro {NEAREST}(vector_asked, k := 10) as table
select item_id, similarity
from (select item_id, array_cosine_similarity(vector, vector_asked::{{type}}) as similarity from item_vectors)
where similarity is not null order by similarity desc, item_id limit k
"""


def names_vectors(text: str) -> bool:
    """Return whether a query names a table of vectors or `nearest_items`: only then are vectors made ready."""
    return _NAMES.search(text) is not None


@contextmanager
def vector_reader(settings: Settings, generation: str | None = None) -> Iterator[Reader]:
    """Open the published tables, `user_vectors`, `item_vectors` and `nearest_items` of one generation, to be read.

    Yields
    ------
    Callable
        Takes SQL and answers its statements in turn. It raises `ValueError` before the first one runs if one of them
        might do more than read.

    Raises
    ------
    NothingPublishedError, SnapshotError, ValueError
        As `readers.connect`.
    StoreError
        If the generation has no vectors, or none any more, or nothing may be written beside them.
    """
    with ExitStack() as stack:
        connection = open_snapshot(settings, generation, partial(_open, settings, stack))

        def read(text: str) -> Iterator[duckdb.DuckDBPyRelation]:
            for statement in parse_selects(connection, text, frozenset({NEAREST})):
                yield connection.sql(statement)

        yield read


def _open(settings: Settings, stack: ExitStack, file: Path) -> duckdb.DuckDBPyConnection:
    folder = _copy(settings, stack, file)
    # Without a folder for what does not fit into memory, such a query fails, as any reader's does.
    config = {**limits(settings), "temp_directory": "", "python_enable_replacements": False}
    connection = stack.enter_context(duckdb.connect(":memory:", config=config))
    connection.execute(f"load {literal(str(_extension()))}")
    attach(connection, file, "published", read_only=True)
    connection.execute(f"attach {literal(str(folder))} as vectors (type lance)")
    for name in VECTOR_TABLES:
        connection.execute(f"create view {name} as from vectors.main.{name}")
    vector_type = connection.table("item_vectors").select("vector").types[0]
    connection.execute(_NEAREST.format(type=vector_type))
    connection.execute("set search_path = 'published.main,memory.main'")
    connection.execute("set enable_external_access = false")
    connection.execute("set disabled_filesystems = 'LocalFileSystem'")
    connection.execute("set lock_configuration = true")
    return connection


def _copy(settings: Settings, stack: ExitStack, file: Path) -> Path:
    snapshot = read_name(file)
    entry = read_manifest(snapshot.generation, settings.root) if snapshot else None
    if snapshot is None or entry is None:
        raise SnapshotError(f"{file.name} has no manifest: publish again (`make run`)")
    if not entry.vectors:
        raise StoreError(
            f"generation {snapshot.generation} has no vectors: it made none, or was stored beside the current"
        )
    try:
        folder = stack.enter_context(throwaway_folder(settings.root / "vectors" / ".sessions"))
    except OSError as error:
        raise StoreError(f"vectors are read from a copy, which needs a folder that can be written: {error}") from error
    link_generation(settings, str(entry.vectors["model"]), str(entry.vectors["tag"]), folder)
    return folder


def _extension() -> Path:
    folder = files("duckdb_extension_lance") / "extensions" / f"v{duckdb.__version__}"
    return Path(str(folder / "lance.duckdb_extension"))

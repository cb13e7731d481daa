"""LanceDB: the tables of vectors below `<root>/vectors/<model>/`. The only module that imports lancedb.

`text_vectors` is the ledger, see `ledger`. `user_vectors` and `item_vectors` hold what is published; the version that a
generation uses is tagged with the generation's name.
"""

from __future__ import annotations

import fcntl
import logging
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lancedb.index import IvfSq
from numpy.typing import NDArray

from embeddings.checksums import damaged
from embeddings.failpoints import failpoint
from embeddings.identity import is_joined
from embeddings.merging import merge_items, merge_users
from embeddings.settings import Settings
from embeddings.table_files import (
    ITEM_VECTORS,
    USER_VECTORS,
    StoreError,
    model_folder,
    record_files,
    record_table,
    tables_of,
)
from embeddings.upkeep import compact, needs_upkeep, prune
from embeddings.vector_files import check_vectors, to_column

log = logging.getLogger(__name__)
TEXT_VECTORS = "text_vectors"
_GENERATION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")
_INDEXED = "items"


def merge_run(
    settings: Settings,
    model_id: str,
    *,
    user_vectors: Path,
    item_vectors: Path,
    generation: str,
    everyone: bool = False,
    carried: bool = False,
) -> dict[str, int | str]:
    """Merge a run's vectors into the tables that are published and tag both versions with the generation.

    Call it at commit, inside the writer's lock. Rows are matched by id; a user's row is replaced by one of the same or
    a later `as_of` only, so a late nightly keeps the hours after it. A repeated call leaves the same rows.

    Parameters
    ----------
    user_vectors, item_vectors
        Parquet files of the run, as `windows.interest_vectors` and `embed.embed_run` write them.
    generation
        Name of the tag; moved if it is there.
    everyone
        The run covers all users and items: those that it lacks go (users only up to its `as_of`), and the tables and
        the ledger are compacted.
    carried
        The item vectors are those of an earlier night: they only fill an empty table.

    Returns
    -------
    dict
        `model`, `tag`, and for each table its version: `user_vectors_version`, `item_vectors_version`.

    Raises
    ------
    ValueError
        If the generation's name cannot be a tag, an id occurs twice or a vector is not finite.
    """
    if not _GENERATION.match(generation):
        raise ValueError(f"generation {generation!r} cannot be a tag: use letters, digits, '-' and '_'")
    versions = {
        name: _merge(settings, model_id, name, file, generation, everyone, carried)
        for name, file in ((USER_VECTORS, user_vectors), (ITEM_VECTORS, item_vectors))
    }
    ledger = open_table(settings, model_id, TEXT_VECTORS)
    if everyone and ledger is not None and needs_upkeep(ledger):
        _compact_whole(ledger, model_folder(settings, model_id) / f"{TEXT_VECTORS}.lance")
    return {"model": model_id, "tag": generation, **{f"{name}_version": version for name, version in versions.items()}}


def forget_generations(settings: Settings, model_id: str, keep: Collection[str]) -> int:
    """Untag the generations that are not in `keep` and remove versions older than every tag; return how many went.

    Where none is in `keep`, the published tables of the model go, and with those of a trained space its folder; the
    ledger of a text model stays. Call it inside the writer's lock.
    """
    opened = {name: open_table(settings, model_id, name) for name in (USER_VECTORS, ITEM_VECTORS)}
    tables = {name: table for name, table in opened.items() if table is not None}
    tagged = {name: set(table.tags.list()) for name, table in tables.items()}
    tags = set().union(*tagged.values())
    forgotten = tags - set(keep)
    if tables and not tags & set(keep):
        folder = model_folder(settings, model_id)
        for path in [folder] if is_joined(model_id) else [folder / f"{name}.lance" for name in tables]:
            shutil.rmtree(path)
        return len(forgotten)
    for name, table in tables.items():
        for generation in tagged[name] & forgotten:
            table.tags.delete(generation)
        if tagged[name] & forgotten:
            prune(table)
    return len(forgotten)


def compact_models(settings: Settings) -> dict[str, int]:
    """Compact the tables of all models that have become many files; return `tables` there are, `compacted` of them.

    Rows that an index does not have yet go into it, and versions that nobody needs go. Call it inside the writer's
    lock; the ledger is held against its own writers here.
    """
    counts = {"tables": 0, "compacted": 0}
    for file in tables_of(settings.root):
        table = lancedb.connect(file.parent).open_table(file.stem)
        counts["tables"] += 1
        with (file.parent / ".commit.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if needs_upkeep(table):
                counts["compacted"] += _compact_whole(table, file)
            else:
                prune(table)
    return counts


def read_table(settings: Settings, model_id: str, name: str, generation: str | None = None) -> pa.Table:
    """Return a table of the store, as a generation saw it or as it is now.

    Raises
    ------
    StoreError
        If there is no such table, or the generation has no tag (never merged, or no longer kept).
    """
    table = open_table(settings, model_id, name)
    if table is None:
        raise StoreError(f"no table {name} of model {model_id} below {settings.root}: publish a run first")
    if generation is not None:
        if generation not in table.tags.list():
            raise StoreError(
                f"{name} has no version of generation {generation}: it was never merged or is no longer kept"
            )
        table.checkout(generation)
    return table.to_arrow()


def index_items(folder: Path, vectors: NDArray[np.float32]) -> None:
    """Write vectors `[n, d]` as a table below `folder`, replacing one that is there, and index it by cosine.

    Partitions of some 8,000 rows, the components in 8 bits. Lance starts its clusters at random, so a rebuilt index
    may find other items.
    """
    rows = pa.table([pa.array(np.arange(len(vectors))), to_column(vectors)], ["item", "vector"])
    lancedb.connect(folder).create_table(_INDEXED, rows, mode="overwrite").create_index(
        "vector", config=IvfSq(distance_type="cosine")
    )


def open_items(folder: Path) -> Any:
    """Open the table that `index_items` wrote. Keep it: what a search read stays in its cache."""
    return lancedb.connect(folder).open_table(_INDEXED)


def search_items(table: Any, queries: NDArray[np.float32], limit: int, probes: int | None) -> NDArray[np.int64]:
    """Return about the `limit` nearest rows of an `open_items` for each query, in any order; -1 where there are fewer.

    `probes` partitions are searched, None for every row as it is; int64 `[len(queries), limit]`.
    """
    search = table.search(queries, vector_column_name="vector").distance_type("cosine").limit(limit)
    search = search.select(["item", "_distance"])
    found = (search.nprobes(probes) if probes else search.bypass_vector_index()).to_arrow()
    query = found["query_index"].to_numpy() if "query_index" in found.column_names else np.zeros(len(found), np.int64)
    order = np.argsort(query, kind="stable")
    query = query[order]
    items = np.full((len(queries), limit), -1, dtype=np.int64)
    items[query, np.arange(query.size) - np.searchsorted(query, query)] = found["item"].to_numpy()[order]
    return items


def open_table(settings: Settings, model_id: str, name: str) -> Any | None:
    """Return a table of a model, or None where there is none yet."""
    folder = model_folder(settings, model_id)
    if not (folder / f"{name}.lance").is_dir():
        return None
    try:
        return lancedb.connect(folder).open_table(name)
    except ValueError:  # its folder is there, its first version not yet: another process is making it
        return None


def open_or_create(settings: Settings, model_id: str, name: str, schema: pa.Schema) -> Any:
    """Return a table of a model, made empty where there is none."""
    table = open_table(settings, model_id, name)
    if table is not None:
        return table
    folder = model_folder(settings, model_id)
    folder.mkdir(parents=True, exist_ok=True)
    # Two creators at once both succeed, and the later one overwrites what was appended between: one at a time.
    with (folder / ".create.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        table = open_table(settings, model_id, name)
        return table if table is not None else lancedb.connect(folder).create_table(name, schema=schema)


def _compact_whole(table: Any, folder: Path) -> bool:
    """Compact a table, unless one of its files is damaged; return whether it was."""
    _, changed = damaged(folder)
    if changed:
        # Compacted, damage could not be told from content any more. The scrub says what to do.
        log.error("%s is not compacted: %s changed on the disk", folder, ", ".join(changed))
        return False
    compact(table)
    record_files(folder)
    return True


def _merge(
    settings: Settings, model_id: str, name: str, file: Path, generation: str, everyone: bool, carried: bool
) -> int:
    with pq.ParquetFile(file, memory_map=True) as rows:
        check_vectors(rows, file.name)
        table = open_or_create(settings, model_id, name, rows.schema_arrow.remove_metadata())
        if name == USER_VECTORS:
            changed = merge_users(table, rows, everyone)
        else:
            # An hour's items are its base's: a night that was published since knows better.
            changed = not (carried and table.count_rows()) and merge_items(table, rows, everyone)
    if everyone and changed:
        compact(table)
    failpoint("vectors.tag.before")
    if generation in table.tags.list():
        table.tags.update(generation, table.version)
    else:
        table.tags.create(generation, table.version)
    failpoint("vectors.tag.after")
    record_table(settings, model_id, name)
    return int(table.version)

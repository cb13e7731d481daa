"""A run's vectors of text, joined with behaviour in the space of the run's trained version."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.collaborative import Space, Standing
from embeddings.failpoints import failpoint
from embeddings.identity import joined_id, without_frame
from embeddings.settings import Settings
from embeddings.space_files import SpaceError, load_space
from embeddings.vector_files import (
    EVENTS_FILE,
    ITEMS_FILE,
    ROW_GROUP,
    TEXT,
    VectorFile,
    carry,
    text_file,
    to_column,
    to_matrix,
    vector_schema,
    writing,
)

log = logging.getLogger(__name__)

ROWS_A_BLOCK = 8 * ROW_GROUP
"""Rows joined at a time."""

Counts = dict[str, int | float | str]


def join_vectors(
    tables: Path,
    vectors: Path,
    settings: Settings,
    *,
    model_id: str,
    space_folder: Path | None,
    base_vectors: Path | None = None,
    everyone: bool = True,
) -> Counts:
    """Write joined `item_vectors.parquet` and `event_vectors.parquet` in place of those of text, kept in `text/`.

    Item vectors are those of the base night where there is one: an hour has its items. Else today's events are folded
    into the frame of the space. Texts of events are carried into it. A repeated call starts from `text/` and writes the
    same. Memory, for i items and p different pairs of user and item: i * 256 * 8 bytes a few times, p * 40, 32,768
    users and 65,536 rows.

    Parameters
    ----------
    tables
        Folder of `dim_items.parquet` (`item_id`) and `user_events.parquet` (`user_id`, `item_id`).
    vectors
        Folder of both vector files, as `collect_vectors` wrote them.
    model_id
        Identity of the joined vectors: `identity.vectors_id` of the run's version.
    space_folder
        As `space_files.save_space` wrote it. None: the vectors stay those of text alone.
    base_vectors
        The same folder of the base night.
    everyone
        `user_events` has everybody's events. Otherwise they say nothing of the items, which stand where they stood when
        the space was learned.

    Returns
    -------
    dict
        `model`; with a space also `items` and `texts` with a vector, `seconds`, and without a base `items_known` to the
        space and `items_new`.

    Raises
    ------
    SpaceError
        If the space is not there or of other texts, or the base's vectors are of another identity.
    """
    started = time.perf_counter()
    if space_folder is None:
        log.info("no trained version: vectors stay those of text alone")
        return {"model": VectorFile(vectors / ITEMS_FILE, "item_id").model}
    stored = load_space(space_folder)
    if joined_id(stored.card["model"]) != without_frame(model_id):
        raise SpaceError(
            f"the space is of texts by {stored.card['model']!r}, the run's vectors are to be {model_id!r}: train a "
            "version with this model, or set the model back"
        )
    for name in (ITEMS_FILE, EVENTS_FILE):
        _put_aside(vectors, name, stored.card["model"])
    counts: Counts
    if base_vectors:
        counts = {"items": _take_from_base(base_vectors, vectors, model_id)}
    else:
        file = tables / "user_events.parquet" if everyone else None
        counts = _join_items(stored.space, stored.item_id, _ids(tables / "dim_items.parquet"), file, vectors, model_id)
    counts |= {"texts": _carry_texts(stored.space, vectors, model_id)}
    log.info("joined %s", counts)
    return {"model": model_id, **counts, "seconds": round(time.perf_counter() - started, 3)}


def _put_aside(vectors: Path, name: str, model_id: str) -> None:
    """Move a file of text vectors into `text/`, if it is not there from an attempt before."""
    file = vectors / name
    if file.exists() and VectorFile(file, f"{name.partition('_')[0]}_id").model == model_id:
        (vectors / TEXT).mkdir(exist_ok=True)
        failpoint("vectors.aside.before")
        file.replace(vectors / TEXT / name)
        failpoint("vectors.aside.after")


def _take_from_base(base: Path, vectors: Path, model_id: str) -> int:
    file = VectorFile(base / ITEMS_FILE, "item_id")
    if file.model != model_id:
        raise SpaceError(
            f"the base night has vectors of {file.model!r}, the run is to have {model_id!r}: clear the run from its "
            "first task, so that it takes the version of its base"
        )
    carry(base / ITEMS_FILE, vectors / ITEMS_FILE)
    return len(file.ids)


def _join_items(
    space: Space, known: pa.Array, ids: pa.Array, events: Path | None, vectors: Path, model_id: str
) -> Counts:
    row = _numbers(ids, known)
    user, item = _read_pairs(events, ids) if events else np.zeros((2, 0), dtype=np.int64)
    standing = space.fold(user, item, len(ids), row)
    text = VectorFile(text_file(vectors, ITEMS_FILE), "item_id")
    schema = vector_schema("item_id", space.recipe.dimension + text.dimension, model_id, model_column=True)
    written = 0
    with writing(vectors / ITEMS_FILE, schema) as writer:
        for first in range(0, len(ids), ROWS_A_BLOCK):
            part = slice(first, first + ROWS_A_BLOCK)
            own = Standing(standing.behaviour[part], standing.users_of[part])
            joined = space.join(own, _texts_of(text, ids[part]))
            there = joined.any(axis=1)
            arrays = [ids[part].filter(pa.array(there)), to_column(joined[there])]
            arrays.append(pa.repeat(pa.scalar(model_id), len(arrays[0])))
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=ROW_GROUP)
            written += len(arrays[0])
    return {"items": written, "items_known": int((row >= 0).sum()), "items_new": int((row < 0).sum())}


def _carry_texts(space: Space, vectors: Path, model_id: str) -> int:
    with pq.ParquetFile(text_file(vectors, EVENTS_FILE)) as rows:
        dimension = rows.schema_arrow.field("vector").type.list_size
        schema = vector_schema("event_id", space.recipe.dimension + dimension, model_id)
        with writing(vectors / EVENTS_FILE, schema) as writer:
            for batch in rows.iter_batches(ROWS_A_BLOCK):
                carried = to_column(space.carry(to_matrix(batch["vector"], dimension)))
                table = pa.table([batch["event_id"], carried], schema=schema)
                writer.write_table(table, row_group_size=ROW_GROUP)
        return int(rows.metadata.num_rows)


def _texts_of(file: VectorFile, ids: pa.Array) -> NDArray[np.float32]:
    """Return the text vectors of items, `[len(ids), d]`; zero rows for items without."""
    rows = file.rows_of(ids)
    place = np.flatnonzero(rows >= 0)
    place = place[np.argsort(rows[place])]
    found = np.zeros((len(ids), file.dimension), dtype=np.float32)
    found[place] = file.take(rows[place])
    return found


def _ids(file: Path) -> pa.Array:
    """Return the ids of a run's items, ascending."""
    ids = pq.read_table(file, columns=["item_id"])["item_id"].cast(pa.string()).combine_chunks()
    return ids.take(pc.sort_indices(ids))


def _read_pairs(file: Path, ids: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return users, numbered in the order of their ids, and items, `[n]` each; others than `ids` are left out."""
    table = pq.read_table(file, columns=["user_id", "item_id"], read_dictionary=["user_id", "item_id"])
    table = table.unify_dictionaries()
    users = table["user_id"].unique().cast(pa.string())
    users = users.take(pc.sort_indices(users))
    user, item = (_code(table[name], known) for name, known in (("user_id", users), ("item_id", ids)))
    there = item >= 0
    return user[there], item[there]


def _code(column: pa.ChunkedArray, known: pa.Array) -> NDArray[np.int64]:
    """Return the place of each value in `known`, looked up once for each entry of the dictionary."""
    parts = [_numbers(chunk.dictionary, known)[chunk.indices.to_numpy()] for chunk in column.chunks]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _numbers(ids: pa.Array, known: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.index_in(ids, value_set=known), -1), dtype=np.int64)

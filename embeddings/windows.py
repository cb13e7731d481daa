"""Window vectors: what a user's events say together, and the fused vector of both windows.

The mean of a window is `sum(share_i * e_i)` over the user's events in it, exactly: `e_i` is the event's own vector (see
`behaviour.event_vector_rows`) and `share_i = decay_weight_i / sum(decay_weight)` over the user's events that have one.
The window's vector is the mean made a unit vector. Everything is linear in the events, so the cosine of an item `c`
with it splits into `share_i * (e_i . c) / norm`, one part an event.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.behaviour import Window, read_window
from embeddings.fusion.fixed import fuse
from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.vector_files import VectorFile, to_column, writing

USERS_A_BLOCK = 20_000
TEXTS_A_BLOCK = 100_000
# A weighted mean this short is rounding noise: the events cancel out, and there is no direction to normalise to.
_NO_DIRECTION = 1e-9


def interest_vectors(
    tables: Path, vectors: Path, as_of: datetime, settings: Settings, block: int = USERS_A_BLOCK
) -> dict[str, int | float | str]:
    """Write `user_vectors.parquet`: long, short and fused vectors, one row for each user of `dim_users`, by user id.

    One sparse-times-dense product for each block of users and window. Sums run in float64 over events in the order of
    event ids, so the result does not depend on the order of the input.

    Memory, for n events of the larger window, i items and blocks of b users: n * 100 bytes while its ids are mapped and
    sorted and n * 16 after, i * d * 8 bytes for the items, b * d * 60 for a block, and d * 12 bytes for each of
    100,000 event texts (or of the events of one user, if he has more): about 3 GB at 20 million events, 100,000
    items and 384 dimensions.

    Parameters
    ----------
    tables
        Folder of `dim_users.parquet` (`user_id`) and `long_window_behaviour.parquet`, `short_window_behaviour.parquet`
        (`user_id`, `item_id`, `event_id`, `decay_weight`).
    vectors
        Folder of `item_vectors.parquet` and `event_vectors.parquet`; gets `user_vectors.parquet`.
    as_of
        Written with each row; UTC.
    block
        Users at a time.

    Returns
    -------
    dict
        `users`, `users_long`, `users_short`, `users_fused`, `events_long`, `events_short`, `events_without_vector`,
        `seconds`.

    Raises
    ------
    ValueError
        If the vectors are of another model than the settings', a weight is negative or not finite, or a window has
        a user that `dim_users` lacks.
    """
    started = time.perf_counter()
    model = describe_model(settings)
    items = VectorFile(vectors / "item_vectors.parquet", "item_id")
    texts = VectorFile(vectors / "event_vectors.parquet", "event_id")
    for file in (items, texts):
        if file.model != model.model_id:
            raise ValueError(
                f"vectors are of model {file.model!r}, settings of {model.model_id!r}: embed the run again"
            )
    ids = pq.read_table(tables / "dim_users.parquet", columns=["user_id"])["user_id"]
    users = ids.take(pc.sort_indices(ids)).combine_chunks()
    long = read_window(tables / "long_window_behaviour.parquet", users, items, texts)
    short = read_window(tables / "short_window_behaviour.parquet", users, items, texts)
    matrix = items.take(np.arange(len(items.ids))).astype(np.float64)
    schema = _schema(model.dimension)
    counts = np.zeros(3, dtype=np.int64)
    with writing(vectors / "user_vectors.parquet", schema) as writer:
        for first, last in _blocks(long, short, block):
            means = [_means(window, first, last, matrix, texts) for window in (long, short)]
            (long_unit, long_norm), (short_unit, short_norm) = means
            has_long, has_short = long_norm > 0, short_norm > 0
            fused, gate, fused_norm = fuse(long_unit, short_unit, has_long, has_short, settings.fusion_gate)
            some = has_long | has_short
            counts += (has_long.sum(), has_short.sum(), some.sum())
            columns = [
                users[first:last].cast(pa.string()),
                to_column(long_unit, has_long),
                to_column(short_unit, has_short),
                to_column(fused, some),
                pa.array(gate, mask=~some),
                pa.array(long_norm, mask=~has_long),
                pa.array(short_norm, mask=~has_short),
                pa.array(fused_norm, mask=~some),
                pa.repeat(pa.scalar(as_of.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us")), last - first),
                pa.repeat(pa.scalar(model.model_id), last - first),
            ]
            writer.write_table(pa.table(columns, schema=schema))
    return {
        "users": len(users),
        **dict(zip(("users_long", "users_short", "users_fused"), counts.tolist(), strict=True)),
        "events_long": long.events,
        "events_short": short.events,
        "events_without_vector": long.events + short.events - len(long.weight) - len(short.weight),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _blocks(long: Window, short: Window, size: int) -> Iterator[tuple[int, int]]:
    """Cut the users where a block would have too many of them, or too many event texts."""
    texts = np.zeros(len(long.starts), dtype=np.int64)
    for window in (long, short):
        texts += np.concatenate([[0], np.cumsum(window.text_row >= 0)])[window.starts]
    first, end = 0, len(long.starts) - 1
    while first < end:
        full = int(np.searchsorted(texts, texts[first] + TEXTS_A_BLOCK, side="right")) - 1
        last = max(first + 1, min(first + size, full, end))
        yield first, last
        first = last


def _means(
    window: Window, first: int, last: int, items: NDArray[np.float64], texts: VectorFile
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the unit vectors `[last - first, d]` of a block of users and the norms of their means; 0 without."""
    rows = slice(window.starts[first], window.starts[last])
    user = np.repeat(np.arange(last - first), np.diff(window.starts[first : last + 1]))
    item_row, text_row, weight = window.item_row[rows], window.text_row[rows], window.weight[rows]
    total = np.bincount(user, weight, minlength=last - first)
    part = weight / ((item_row >= 0).astype(np.float64) + (text_row >= 0))
    summed = _product(user, item_row, part, items, last - first)
    text_rows, place = np.unique(text_row[text_row >= 0], return_inverse=True)
    if len(text_rows):
        compact = np.full_like(text_row, -1)
        compact[text_row >= 0] = place
        summed += _product(user, compact, part, texts.take(text_rows).astype(np.float64), last - first)
    mean = np.divide(summed, total[:, None], out=np.zeros_like(summed), where=total[:, None] > 0)
    norm = np.linalg.norm(mean, axis=1)
    norm[norm < _NO_DIRECTION] = 0
    unit = np.divide(mean, norm[:, None], out=np.zeros_like(mean), where=norm[:, None] > 0)
    return unit.astype(np.float32), norm


def _product(user: Any, row: Any, weight: Any, dense: NDArray[np.float64], users: int) -> NDArray[np.float64]:
    """Return the sum of `weight * dense[row]` for each user `[users, d]`; events are ordered by user."""
    from scipy.sparse import csr_array

    there = row >= 0
    starts = np.searchsorted(user[there], np.arange(users + 1))
    # Built from its parts: other constructors would sum an item's events first, in an order of their own.
    weights = csr_array((weight[there], row[there], starts), shape=(users, len(dense)))
    product: NDArray[np.float64] = weights @ dense
    return product


def _schema(dimension: int) -> pa.Schema:
    vector = pa.list_(pa.float32(), dimension)
    types = {"user_id": pa.string(), "long": vector, "short": vector, "fused": vector, "gate": pa.float64()}
    types |= dict.fromkeys(("long_norm", "short_norm", "fused_norm"), pa.float64())
    return pa.schema(list((types | {"as_of": pa.timestamp("us"), "model": pa.string()}).items()))

"""Window vectors: what a user's events say together, and the fused vector of both windows.

The mean of a window is `sum(share_i * e_i)` over the user's events in it: `e_i` is the event's own vector (that of its
item, that of its text, or the mean of both) and `share_i = decay_weight_i / sum(decay_weight)` over the user's events
that have one. The window's vector is the mean made a unit vector. Everything is linear in the events, so the cosine of
an item `c` with it splits into `share_i * (e_i . c) / norm`, one part an event.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.behaviour import Window, read_window
from embeddings.fusion.fixed import fuse
from embeddings.fusion.learned import load_gate
from embeddings.fusion.signals import gate_signals
from embeddings.identity import vectors_id
from embeddings.lookahead import map_ahead
from embeddings.settings import Settings
from embeddings.shares import Shares, cut_users
from embeddings.vector_files import EVENTS_FILE, ITEMS_FILE, VectorFile, to_column, writing

USERS_A_BLOCK = 4096
TEXTS_A_BLOCK = 1 << 16
# A weighted mean this short is rounding noise: the events cancel out, and there is no direction to normalise to.
_NO_DIRECTION = 1e-5


class _Block(NamedTuple):
    """Users `first` to `last` with the products whose sum is the mean of each window."""

    first: int
    last: int
    long: list[tuple[Shares, NDArray[np.float32]]]
    short: list[tuple[Shares, NDArray[np.float32]]]


def interest_vectors(
    tables: Path,
    vectors: Path,
    as_of: datetime,
    settings: Settings,
    block: int = USERS_A_BLOCK,
    *,
    model_id: str | None = None,
    gate_file: Path | None = None,
) -> dict[str, int | float | str]:
    """Write `user_vectors.parquet`: long, short and fused vectors, one row for each user of `dim_users`, by user id.

    One sparse-times-dense product for each block of users and window; blocks are worked on by `settings.threads`
    threads while finished ones are written. The result depends neither on the order of the input nor on the blocks and
    threads: see `read_window` for the weights, and each vector is summed in the order of item and event ids.

    Memory, for n events of the larger window, i items and blocks of b users: n * 45 bytes while the window is read, i *
    d * 4 for the items, and for each of `threads + 1` blocks b * d * 32, and d * 4 for each of 65,536 event texts (or
    of those of one user, if he has more). At 20 million events of 1 million users, 100,000 items, 384 dimensions and
    two threads 1,350 MiB were measured, 90 of them the libraries'.

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
        Users at a time: a row group of the file.
    model_id
        The identity that the vectors must have, see `identity.vectors_id`. None: that of the settings' text model.
    gate_file
        A learned gate (`embeddings.fusion.learned`), which gives each user a weight of his own. None: the setting
        `fusion_gate` for everybody.

    Returns
    -------
    dict
        `users`, `users_long`, `users_short`, `users_fused`, `events_long`, `events_short`, `events_without_vector`,
        `seconds`.

    Raises
    ------
    ValueError
        If the vectors are of another identity, the gate (`GateError`) is of other vectors or knows events after
        `as_of`, a weight is negative, not finite or too large to sum, or a window has a user that `dim_users` lacks.
    """
    started = time.perf_counter()
    model_id = model_id or vectors_id(settings, None)
    items = VectorFile(vectors / ITEMS_FILE, "item_id")
    texts = VectorFile(vectors / EVENTS_FILE, "event_id")
    for file in (items, texts):
        if file.model != model_id:
            raise ValueError(
                f"vectors are of {file.model!r}, the run's are to be {model_id!r}: embed the run again, from plan_texts"
            )
    learned = load_gate(gate_file) if gate_file else None
    if learned:
        learned.check(as_of, model_id)
    known = pq.read_table(
        tables / "dim_users.parquet", columns=["user_id", "last_event_at"] if learned else ["user_id"]
    )
    known = known.take(pc.sort_indices(known["user_id"])).combine_chunks()
    users = known["user_id"].combine_chunks().cast(pa.string())
    last_event = _days_before(as_of, known["last_event_at"]) if learned else None
    long = read_window(tables / "long_window_behaviour.parquet", users, items, texts, settings.threads)
    short = read_window(tables / "short_window_behaviour.parquet", users, items, texts, settings.threads)
    matrix = items.take(np.arange(len(items.ids)))
    moment = pa.scalar(as_of.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
    schema = _schema(items.dimension)

    def work(block: _Block) -> pa.Table:
        long, long_norm = _mean(block.long)
        short, short_norm = _mean(block.short)
        has_long, has_short = long_norm > 0, short_norm > 0
        weight: float | NDArray[np.float64] = settings.fusion_gate
        if learned and last_event is not None:
            shares = [[part for part, _ in products] for products in (block.long, block.short)]
            recency = last_event[block.first : block.last]
            signals = gate_signals(long, short, long_norm, short_norm, shares[0], shares[1], recency)
            weight = learned.network.gates(signals)
        fused, gate, fused_norm = fuse(long, short, has_long, has_short, weight)
        some = has_long | has_short
        columns = [
            users[block.first : block.last],
            to_column(long, has_long),
            to_column(short, has_short),
            to_column(fused, some),
            pa.array(gate, mask=~some),
            pa.array(long_norm, mask=~has_long),
            pa.array(short_norm, mask=~has_short),
            pa.array(fused_norm, mask=~some),
            pa.repeat(moment, len(some)),
            pa.repeat(pa.scalar(model_id), len(some)),
        ]
        return pa.table(columns, schema=schema)

    counts = dict.fromkeys(("long", "short", "fused"), 0)
    with writing(vectors / "user_vectors.parquet", schema) as writer:
        for table in map_ahead(work, _blocks(long, short, matrix, texts, block), settings.threads):
            writer.write_table(table)
            counts = {name: count + len(table) - table[name].null_count for name, count in counts.items()}
    return {
        "users": len(users),
        **{f"users_{name}": count for name, count in counts.items()},
        "events_long": long.events,
        "events_short": short.events,
        "events_without_vector": long.without_vector + short.without_vector,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _blocks(long: Window, short: Window, items: NDArray[np.float32], texts: VectorFile, size: int) -> Iterator[_Block]:
    """Cut the users where a block would have too many of them, or too many event texts, and read those texts."""
    for first, last in cut_users(long.texts.starts + short.texts.starts, TEXTS_A_BLOCK, size):
        products = [[(window.items.of(first, last), items)] for window in (long, short)]
        own = [window.texts.of(first, last) for window in (long, short)]
        # Once for both windows: a user's texts lie beside each other.
        rows = np.unique(np.concatenate([shares.row for shares in own]))
        if len(rows):
            vectors = texts.take(rows)
            for product, shares in zip(products, own, strict=True):
                product.append((shares._replace(row=np.searchsorted(rows, shares.row).astype(np.int32)), vectors))
        yield _Block(first, last, *products)


def _mean(products: list[tuple[Shares, NDArray[np.float32]]]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the means as unit vectors, float32 `[users, d]`, and their norms; 0 without a mean."""
    mean, *more = (shares.times(vectors) for shares, vectors in products)
    for part in more:
        mean += part
    norm = np.sqrt(np.vecdot(mean, mean), dtype=np.float64)
    norm[norm < _NO_DIRECTION] = 0
    mean *= np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0).astype(np.float32)[:, None]
    return mean, norm


def _days_before(as_of: datetime, moments: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the days from each moment (UTC) to `as_of`; infinite for null."""
    end = np.datetime64(as_of.astimezone(UTC).replace(tzinfo=None), "us")
    days = (end - moments.cast(pa.timestamp("us")).to_numpy()) / np.timedelta64(1, "D")
    return np.where(np.isnan(days), np.inf, days)


def _schema(dimension: int) -> pa.Schema:
    vector = pa.list_(pa.float32(), dimension)
    types = {"user_id": pa.string(), "long": vector, "short": vector, "fused": vector, "gate": pa.float64()}
    types |= dict.fromkeys(("long_norm", "short_norm", "fused_norm"), pa.float64())
    return pa.schema(list((types | {"as_of": pa.timestamp("us"), "model": pa.string()}).items()))

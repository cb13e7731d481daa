"""The vectors that a run was ranked with, as arrays in the numbering of a split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embeddings.vector_files import ITEMS_FILE, text_file, to_matrix
from tideline.evaluation.split import Split


@dataclass(frozen=True)
class RunVectors:
    """Rows of length 1, or 0 where there is no vector."""

    text: NDArray[np.float32]
    """Of the items' texts alone, `[items, t]`."""
    items: NDArray[np.float32]
    """`[items, d]`: those of text, or joined with behaviour where the run had a trained version."""
    long: NDArray[np.float32]
    """`[users, d]`, as are `short` and `fused`."""
    short: NDArray[np.float32]
    fused: NDArray[np.float32]
    gate_is_learned: bool
    """Whether users with both windows have different gates."""


def load_vectors(folder: Path, split: Split) -> RunVectors | None:
    """Read the vectors of a run's items and users; None if the run made no vector of an item."""
    items = pq.read_table(folder / ITEMS_FILE, columns=["item_id", "vector"])
    text = pq.read_table(text_file(folder, ITEMS_FILE), columns=["item_id", "vector"])
    users = pq.read_table(folder / "user_vectors.parquet", columns=["user_id", "long", "short", "fused", "gate"])
    if not items.num_rows:
        return None
    dimension, of_text = (table.schema.field("vector").type.list_size for table in (items, text))
    both = pc.and_(users["long"].is_valid(), users["short"].is_valid())
    gates = users["gate"].filter(both).to_numpy()
    return RunVectors(
        text=_aligned(text["item_id"], text["vector"], split.item_id, of_text),
        items=_aligned(items["item_id"], items["vector"], split.item_id, dimension),
        long=_aligned(users["user_id"], users["long"], split.user_id, dimension),
        short=_aligned(users["user_id"], users["short"], split.user_id, dimension),
        fused=_aligned(users["user_id"], users["fused"], split.user_id, dimension),
        gate_is_learned=bool(gates.size and np.ptp(gates) > 0),
    )


def _aligned(ids: pa.ChunkedArray, vectors: pa.ChunkedArray, order: pa.Array, dimension: int) -> NDArray[np.float32]:
    there = vectors.is_valid()
    row = pc.index_in(ids.filter(there), value_set=order)
    kept = row.is_valid()
    matrix = np.zeros((len(order), dimension), dtype=np.float32)
    matrix[row.filter(kept).to_numpy()] = to_matrix(vectors.filter(there).filter(kept), dimension)
    return matrix

"""The vectors that a run was ranked with, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.ranking.catalogue import to_matrix
from tideline.run import Run


class RunVectors(NamedTuple):
    """Users with a fused vector and available items with a vector, each ordered by id."""

    user_id: pa.Array
    fused: NDArray[np.float32]
    """[users, d]"""
    item_id: pa.Array
    items: NDArray[np.float32]
    """[items, d]"""


def load_vectors(run: Run, users: pa.Array) -> RunVectors:
    """Read the fused vectors of some users, and the vectors of the items that were available at the run's `as_of`."""
    with duckdb.connect() as connection:
        connection.register("wanted", pa.table({"user_id": users}))
        fused = connection.execute(
            "select user_id, fused as vector from read_parquet($1) semi join wanted using (user_id) "
            "where fused is not null order by user_id",
            [str(run.vectors / "user_vectors.parquet")],
        ).to_arrow_table()
        items = connection.execute(
            "select item_id, vector from read_parquet($1) "
            "semi join (select item_id from read_parquet($2) where is_available) using (item_id) "
            "where vector is not null order by item_id",
            [str(run.vectors / "item_vectors.parquet"), str(run.tables / "dim_items.parquet")],
        ).to_arrow_table()
    dimension = len(items["vector"][0]) if items.num_rows else 0
    return RunVectors(
        user_id=fused["user_id"].combine_chunks(),
        fused=to_matrix(fused["vector"], dimension),
        item_id=items["item_id"].combine_chunks(),
        items=to_matrix(items["vector"], dimension),
    )

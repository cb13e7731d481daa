"""How a run's vectors go into the tables that are published: matched by id, newer over older."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from embeddings.vector_files import to_matrix

_ROWS_A_BATCH = 8192


def merge_users(table: Any, rows: pq.ParquetFile, everyone: bool) -> bool:
    """Upsert users whose `as_of` is not older; of `everyone`, the rest go up to that `as_of`. Return True: it wrote."""
    merge = table.merge_insert("user_id").when_matched_update_all(where="target.as_of <= source.as_of")
    merge = merge.when_not_matched_insert_all()
    if everyone and (as_of := pc.max(rows.read(columns=["as_of"])["as_of"]).as_py()):
        merge = merge.when_not_matched_by_source_delete(f"as_of <= cast('{as_of.isoformat()}' as timestamp)")
    # Streamed: a million users' vectors are 5 GB.
    batches = rows.iter_batches(_ROWS_A_BATCH)
    # Absent vectors are null, which lancedb calls bad; really bad ones were refused before.
    merge.execute(pa.RecordBatchReader.from_batches(rows.schema_arrow, batches), on_bad_vectors="null")
    return True


def merge_items(table: Any, rows: pq.ParquetFile, everyone: bool) -> bool:
    """Upsert the items that changed; of `everyone`, the rest go. Return whether it wrote.

    A catalogue seldom changes, and an hour should not rewrite it.
    """
    data, current = rows.read(), table.to_arrow()
    dimension = data.schema.field("vector").type.list_size
    place = pc.fill_null(pc.index_in(data["item_id"], value_set=current["item_id"]), -1).to_numpy()
    old, new = to_matrix(current["vector"], dimension), to_matrix(data["vector"], dimension)
    changed = place < 0
    changed[~changed] = (new[~changed] != old[place[~changed]]).any(axis=1)
    gone = everyone and np.count_nonzero(place >= 0) < len(current)
    if not gone and not changed.any():
        return False
    merge = table.merge_insert("item_id").when_matched_update_all().when_not_matched_insert_all()
    if gone:
        merge = merge.when_not_matched_by_source_delete()
    merge.execute(data if gone else data.filter(pa.array(changed)))
    return True

"""The items of a run as people see them: ids, titles, categories, and whether they may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray


@dataclass(frozen=True)
class Catalogue:
    """All items, numbered in the order of their ids, `[n]` each."""

    item_id: pa.Array
    title: pa.Array
    """The id where an item has none."""
    category: pa.Array
    """As in the catalogue: several joined by `|`; null without."""
    available: NDArray[np.bool_]
    """Whether the item may be shown at `as_of`: it is available, and no rule blocks it."""

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.item_id)


def load_catalogue(tables: Path, item_id: pa.Array, available: NDArray[np.bool_]) -> Catalogue:
    """Read titles and categories of the items from `dim_items`, which must have every one of them."""
    items = pq.read_table(tables / "dim_items.parquet", columns=["item_id", "title", "category"])
    items = items.take(pc.index_in(item_id, value_set=items["item_id"].cast(pa.string()).combine_chunks()))
    titles = items["title"].cast(pa.string()).combine_chunks()
    empty = pc.equal(pc.fill_null(titles, ""), "")
    category = items["category"].cast(pa.string()).combine_chunks()
    return Catalogue(item_id, pc.if_else(empty, item_id, titles), category, available)

"""What rules know of items: categories, vectors, age, and what may be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class Categories:
    """Categories of items; an item may have several, or none."""

    names: tuple[str, ...]
    """[c], sorted"""
    matrix: Any
    """[items, c] scipy CSR; what is stored at all says that an item has a category, its value does not matter."""


def read_categories(texts: Iterable[str | None]) -> Categories:
    """Read the column `category` of `dim_items`: categories joined by '|', spaces around them ignored."""
    from scipy.sparse import csr_array

    listed = [sorted({part.strip() for part in (text or "").split("|")} - {""}) for text in texts]
    names = sorted({name for parts in listed for name in parts})
    code = {name: number for number, name in enumerate(names)}
    indices = np.array([code[name] for parts in listed for name in parts], dtype=np.int64)
    indptr = np.concatenate([[0], np.cumsum([len(parts) for parts in listed])]).astype(np.int64)
    shape = (len(listed), len(names))
    return Categories(tuple(names), csr_array((np.ones(indices.size, np.float32), indices, indptr), shape=shape))


@dataclass(frozen=True)
class ItemFacts:
    """The items of a run, numbered as in the scored pairs."""

    item_id: pa.Array
    """[items] ids"""
    categories: Categories
    vectors: NDArray[np.float32]
    """[items, d] unit rows, 0 where an item has no vector. d may be 0."""
    age: NDArray[np.float64]
    """[items] days since an item can be had; NaN where it is not there yet or nobody knows."""
    allowed: NDArray[np.bool_]
    """[items] available and not blocked: only such items are explored."""

    def stretch(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return every category of a list of items: the item's place in the list [m], and the category [m]."""
        rows = self.categories.matrix[items]
        return np.repeat(np.arange(items.size), np.diff(rows.indptr)), rows.indices.astype(np.int64)

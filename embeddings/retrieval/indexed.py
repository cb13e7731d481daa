"""Search through a LanceDB index: for catalogues so large that even a fast product of all items costs more."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from embeddings.retrieval.exact import nearest_items
from embeddings.retrieval.rescoring import rank_exactly
from embeddings.store import index_items, open_items, search_items

log = logging.getLogger(__name__)

RECALL_FLOOR = 0.95
"""An index that finds less of the exact neighbours than that is not used."""
SAMPLE = 256
"""Queries that the recall is measured on."""
PROBES = 20
"""Partitions searched, of some 8,000 items each."""
BATCH = 64
"""Queries of one call."""


@dataclass(frozen=True)
class Index:
    """An index of the rows of one matrix of items."""

    folder: Path
    recall: float
    """Share of the exact neighbours that it found for the sample."""
    seconds: float
    """To build."""

    @property
    def good_enough(self) -> bool:
        """Whether it may be used."""
        return self.recall >= RECALL_FLOOR


def build_index(folder: Path, items: NDArray[np.float32], queries: NDArray[np.float32], k: int, threads: int) -> Index:
    """Index the items, in a `folder` of its own, and measure its recall@k for evenly spaced ones of the queries."""
    started = time.perf_counter()
    index_items(folder, items)
    seconds = time.perf_counter() - started
    sample = queries[np.unique(np.linspace(0, len(queries) - 1, SAMPLE, dtype=np.int64))]
    exact, _ = nearest_items(sample, items, k, threads=threads)
    none = np.empty(0, dtype=np.int64)
    found, _ = search(folder, sample, items, exact.shape[1], (none, none), threads)
    hits = sum(int(np.isin(ours, theirs).sum()) for ours, theirs in zip(found, exact, strict=True))
    index = Index(folder, hits / exact.size, seconds)
    log.info(
        "index of %d items: %.1f s, recall@%d %.4f on %d queries", len(items), seconds, k, index.recall, len(sample)
    )
    return index


def search(
    folder: Path,
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    k: int,
    excluded: tuple[NDArray[np.int64], NDArray[np.int64]],
    threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what `nearest_items` documents, save that some neighbours may be others; the cosines are exact.

    A query with s excluded items asks the index for so many more. Queries of similar s share a call.
    """
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    table = open_items(folder)
    barred = np.bincount(excluded[0], minlength=len(queries))
    vectors = torch.from_numpy(np.ascontiguousarray(items))

    def answer(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        # Half as many again: the index ranks by 8 bits a component, the exact order comes after it.
        wanted = min(k + k // 2 + int(barred[rows].max()), len(items))
        return rows, search_items(table, queries[rows], wanted, PROBES)

    with ThreadPoolExecutor(threads) as pool:
        for rows, proposed in pool.map(answer, _batches(barred)):
            first, last = np.searchsorted(excluded[0], rows), np.searchsorted(excluded[0], rows, side="right")
            for place, (start, stop) in enumerate(zip(first, last, strict=True)):
                proposed[place, np.isin(proposed[place], excluded[1][start:stop])] = -1
            best = rank_exactly(torch.from_numpy(queries[rows]), vectors, torch.from_numpy(proposed), k)
            indices[rows], cosines[rows] = (part.numpy() for part in best)
    return indices, cosines


def _batches(barred: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    order = np.argsort(barred, kind="stable")
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]

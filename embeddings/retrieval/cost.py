"""What exact and indexed search will take on this machine, from small probes: the choice between them."""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)

OVER_PRODUCT = 1.5
"""Seconds of an exact search over those of its bare product: 1.4 was measured, see docs/performance.md."""
OVER_PROBE = 2.0
"""Seconds of a query in a large index over those in the probe, whose vectors fit the caches better, as measured."""
PROBED = 163_840
"""Items of the probe: as many as a query meets in an index of any size, 20 partitions of some 8,192 each."""
ASKED = 128
CERTAIN = 100_000_000_000_000
"""Multiplications, q * n * d, up to which exact search is taken unasked: minutes. No index won below it."""


@dataclass(frozen=True)
class Forecast:
    """Seconds that each way would take, an index's build included."""

    exact: float
    indexed: float


def index_pays(q: int, n: int, d: int, k: int, threads: int) -> bool:
    """Say whether q queries over n items of d dimensions are answered sooner by building an index first."""
    if q * n * d <= CERTAIN:
        return False
    expected = forecast(q, n, d, k, threads)
    log.info("%d queries over %d items: exact %.0f s, indexed %.0f s", q, n, expected.exact, expected.indexed)
    return expected.indexed < expected.exact


def forecast(q: int, n: int, d: int, k: int, threads: int) -> Forecast:
    """Predict both from the probed rate of the product and the probed cost of an index, on `threads` idle cores."""
    from embeddings.retrieval.rates import product_rates

    exact = OVER_PRODUCT * 2 * q * n * d / max(product_rates(threads).values())
    build, query = (seconds / threads for seconds in index_cost(d, k))
    return Forecast(exact, n * build + q * OVER_PROBE * query * min(1.0, n / PROBED))


@lru_cache
def index_cost(d: int, k: int) -> tuple[float, float]:
    """Return the processor seconds of an index: to build, an item; to search, a query.

    Measured on an index of random vectors, in some seconds. What else the machine does must not decide, hence no wall
    clock.
    """
    from embeddings.retrieval.indexed import search
    from embeddings.store import index_items

    items = np.random.default_rng(0).standard_normal((PROBED, d), dtype=np.float32)
    none = np.empty(0, dtype=np.int64)
    with tempfile.TemporaryDirectory() as scratch:
        started = time.process_time()
        index_items(Path(scratch), items)
        built = time.process_time()
        search(Path(scratch), items[:ASKED], items, k, (none, none), threads=1)
        return (built - started) / PROBED, (time.process_time() - built) / ASKED

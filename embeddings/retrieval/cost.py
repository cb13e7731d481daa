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
PARTITION = 8192
"""Items of a partition, about, as LanceDB cuts them."""
PROBED = (PARTITION, 4 * PARTITION)
"""Items of the two probes: a query's cost is a constant and a part that grows with the items it meets."""
ASKED = 128
CERTAIN = 10_000_000_000_000
"""Multiplications, q * n * d, up to which exact search is taken unasked: about a minute, and no index won there."""


@dataclass(frozen=True)
class Forecast:
    """Seconds that each way would take, an index's build included."""

    exact: float
    indexed: float


@dataclass(frozen=True)
class IndexCost:
    """What an index costs here: seconds to build an item's part, and of a query, constant and for an item met."""

    build: float
    query: float
    met: float


def index_pays(q: int, n: int, d: int, k: int, threads: int) -> bool:
    """Say whether q queries over n items of d dimensions are answered sooner by building an index first."""
    if q * n * d <= CERTAIN:
        return False
    expected = forecast(q, n, d, k, threads)
    log.info("%d queries over %d items: exact %.0f s, indexed %.0f s", q, n, expected.exact, expected.indexed)
    return expected.indexed < expected.exact


def forecast(q: int, n: int, d: int, k: int, threads: int) -> Forecast:
    """Predict both from the probed rate of the product and the probed cost of an index."""
    from embeddings.retrieval.indexed import PROBES
    from embeddings.retrieval.rates import product_rates

    exact = OVER_PRODUCT * 2 * q * n * d / max(product_rates(threads).values())
    cost = index_cost(d, k, threads)
    met = min(n, PROBES * PARTITION)
    return Forecast(exact, n * cost.build + q * (cost.query + met * cost.met))


@lru_cache
def index_cost(d: int, k: int, threads: int) -> IndexCost:
    """Measure it on two small indexes of random vectors, about a second."""
    from embeddings.retrieval.indexed import search
    from embeddings.store import index_items

    random = np.random.default_rng(0)
    builds, queries = [], []
    none = np.empty(0, dtype=np.int64)
    for n in PROBED:
        items = random.standard_normal((n, d), dtype=np.float32)
        with tempfile.TemporaryDirectory() as scratch:
            started = time.perf_counter()
            index_items(Path(scratch), items)
            built = time.perf_counter()
            search(Path(scratch), items[:ASKED], items, min(k, n), (none, none), threads)
            builds.append((built - started) / n)
            queries.append((time.perf_counter() - built) / ASKED)
    met = max(0.0, (queries[1] - queries[0]) / (PROBED[1] - PROBED[0]))
    return IndexCost(max(builds), max(0.0, queries[0] - met * PROBED[0]), met)

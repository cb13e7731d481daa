"""`make bench-retrieval`: seconds for the k nearest items of every user, beside faiss, LanceDB and the bare product.

The vectors are generated: items around topics, topics around fields, all around one mean, as text vectors lie; users
are means of a few items, most of them of one field. Users come in the blocks of the ranking, and within a block the
ways take turns, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.settings import Settings
from tideline.report import print_table, row, write_report

SAMPLE = 1000
"""Users for whom LanceDB is asked, and whose neighbours are compared."""
BATCH = 64
ITEMS_A_TOPIC, TOPICS_A_FIELD = 100, 20
PRODUCT_ROWS = 1024
OURS, FAISS, PRODUCT, LANCE = "nearest_items", "faiss IndexFlatIP", "matrix product", "LanceDB exact"
WHOLE = "whole rows in float32"
Vectors = NDArray[np.float32]
Search = Callable[[Vectors], NDArray[np.int64] | None]


def bench_retrieval(settings: Settings, users: int, items: int, dimension: int, k: int) -> None:
    """Print and report the seconds of every way, our ratio to each, and the recall@k of a sample.

    Raises
    ------
    ValueError
        If a size is below 1, or faiss is not installed.
    """
    if min(users, items, dimension, k) < 1:
        raise ValueError(f"users, items, dimension and k must be at least 1, got {users}, {items}, {dimension}, {k}")
    k = min(k, items)
    print(f"Generating {users:,} users and {items:,} items of {dimension} dimensions ...")
    queries, vectors = generate(users, items, dimension)
    ways = {**_ours(vectors, k, settings.threads), **_peers(vectors, k, settings.threads)}
    seconds = _take_turns(ways, queries, settings.user_block)
    sample = queries[np.unique(np.linspace(0, users - 1, SAMPLE, dtype=np.int64))]
    found = {name: indices for name, search in ways.items() if (indices := search(sample)) is not None}
    lance = _lance(vectors, sample, k, settings.threads, found)
    scaled = f"{len(sample):,} users, scaled"
    seconds |= {name: lance[name] * users / len(sample) for name in (LANCE, "LanceDB index")}
    figures = [
        *(row("seconds", OURS, seconds[OURS], "s", name, value) for name, value in seconds.items() if name != OURS),
        *(
            row("seconds", f"{name} ({scaled})" if name in lance else name, value, "s", PRODUCT, seconds[PRODUCT])
            for name, value in seconds.items()
            if name not in (OURS, PRODUCT)
        ),
        row("seconds", PRODUCT, seconds[PRODUCT], "s"),
        row("seconds", "LanceDB index, to build", lance["build"], "s"),
        *_recalls(found, sample, vectors, k),
        *_floors(users, items, dimension, k, seconds, settings.threads),
    ]
    print_table(f"{k} nearest of {items:,} items for {users:,} users, {dimension} dimensions", figures)
    print(f"Written: {write_report('bench-retrieval', figures, settings)}")


def generate(users: int, items: int, dimension: int) -> tuple[Vectors, Vectors]:
    """Return unit vectors of users `[users, dimension]` and items `[items, dimension]`."""
    random = np.random.default_rng(0)
    topics = 1 + items // ITEMS_A_TOPIC
    fields = 1 + topics // TOPICS_A_FIELD
    field_of_topic = np.arange(topics) // TOPICS_A_FIELD
    topic = np.sort(random.integers(0, topics, items))

    def around(centres: Vectors, spread: float) -> Vectors:
        return centres + spread * random.standard_normal(centres.shape, dtype=np.float32)

    mean = random.standard_normal((1, dimension), dtype=np.float32)
    vectors = around(around(around(mean.repeat(fields, 0), 1.0)[field_of_topic], 1.0)[topic], 1.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Items are sorted by topic, so a field is a stretch of them.
    width = max(1, items // fields)
    start = random.integers(0, items - width + 1, users)
    queries = vectors[random.integers(0, items, users)]
    for _ in range(3):
        queries += vectors[start + random.integers(0, width, users)]
    return queries / np.linalg.norm(queries, axis=1, keepdims=True), vectors


def _ours(vectors: Vectors, k: int, threads: int) -> dict[str, Search]:
    from embeddings.retrieval import nearest_items
    from embeddings.retrieval.rates import product_rates

    ways: dict[str, Search] = {
        OURS: lambda queries: nearest_items(queries, vectors, k, threads=threads)[0],
        f"{OURS} float32": lambda queries: nearest_items(queries, vectors, k, precision="float32", threads=threads)[0],
    }
    if product_rates(threads)["int8"]:
        ways[f"{OURS} int8"] = lambda queries: nearest_items(queries, vectors, k, precision="int8", threads=threads)[0]
    return ways


def _peers(vectors: Vectors, k: int, threads: int) -> dict[str, Search]:
    import torch

    from embeddings.retrieval.rates import product_rates, threads_of_torch

    try:
        import faiss
    except ImportError as error:
        raise ValueError("faiss is not installed: install the extra `peers`") from error
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)

    right = torch.from_numpy(vectors)
    right_int8 = (right * 127).round_().to(torch.int8)

    def multiply(queries: Vectors) -> None:
        scores = torch.empty(PRODUCT_ROWS, len(right))
        with threads_of_torch(threads):
            for rows in torch.from_numpy(queries).split(PRODUCT_ROWS):
                torch.mm(rows, right.T, out=scores[: len(rows)])

    def multiply_int8(queries: Vectors) -> None:
        scores = torch.empty(PRODUCT_ROWS, len(right), dtype=torch.int32)
        with threads_of_torch(threads):
            for rows in (torch.from_numpy(queries) * 127).round_().to(torch.int8).split(PRODUCT_ROWS):
                torch._int_mm(rows, right_int8.T, out=scores[: len(rows)])

    ways: dict[str, Search] = {FAISS: lambda queries: index.search(queries, k)[1], PRODUCT: multiply}
    return ways | ({f"{PRODUCT} int8": multiply_int8} if product_rates(threads)["int8"] else {})


def _take_turns(ways: dict[str, Search], queries: Vectors, block: int) -> dict[str, float]:
    for search in ways.values():
        search(queries[:BATCH])  # what is done once a process
    seconds = dict.fromkeys(ways, 0.0)
    for start in range(0, len(queries), block):
        for name, search in ways.items():
            started = time.perf_counter()
            search(queries[start : start + block])
            seconds[name] += time.perf_counter() - started
        print(f"{min(start + block, len(queries)):,} users: {', '.join(f'{n} {s:.1f} s' for n, s in seconds.items())}")
    return seconds


def _lance(
    vectors: Vectors, sample: Vectors, k: int, threads: int, found: dict[str, NDArray[np.int64]]
) -> dict[str, float]:
    """Return the seconds of LanceDB for the sample, exact and by the index that we would build; add what it found."""
    from embeddings.retrieval import nearest_items
    from embeddings.retrieval.indexed import build_index
    from embeddings.store import open_items, search_items

    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as scratch, ThreadPoolExecutor(threads) as pool:
        index = build_index(Path(scratch), vectors, sample, k, threads)
        table = open_items(index.folder)
        started = time.perf_counter()
        batches = [sample[start : start + BATCH] for start in range(0, len(sample), BATCH)]
        parts = pool.map(lambda batch: search_items(table, batch, k, probes=None), batches)
        found[LANCE] = np.concatenate(list(parts))
        exact = time.perf_counter()
        found["LanceDB index"], _ = nearest_items(sample, vectors, k, index=index, threads=threads)
        indexed = time.perf_counter()
    return {LANCE: exact - started, "LanceDB index": indexed - exact, "build": index.seconds}


def _recalls(found: dict[str, NDArray[np.int64]], sample: Vectors, vectors: Vectors, k: int) -> list[dict[str, Any]]:
    from embeddings.retrieval.whole_rows import search_rows

    none = np.empty(0, dtype=np.int64)
    exact, _ = search_rows(sample, vectors, k, (none, none))
    hits = {
        name: sum(int(np.isin(ours, theirs).sum()) for ours, theirs in zip(indices, exact, strict=True))
        for name, indices in found.items()
    }
    return [row(f"recall@{k}", name, count / exact.size, None, WHOLE, 1.0) for name, count in hits.items()]


def _floors(users: int, items: int, d: int, k: int, seconds: dict[str, float], threads: int) -> list[dict[str, Any]]:
    """Return the operations of the product, the rates that were reached, and what the cost model had foreseen."""
    from embeddings.retrieval.cost import forecast

    operations = 2.0 * users * items * d
    expected = forecast(users, items, d, k, threads)
    rates = ((name, operations / value) for name, value in seconds.items() if name.startswith(PRODUCT))
    return [
        row("operations", PRODUCT, operations, "operations"),
        *(row("operations_per_second", name, rate, "operations/s") for name, rate in rates),
        row("seconds_foreseen", f"{OURS}, exact", expected.exact, "s", "measured", seconds[OURS]),
        row("seconds_foreseen", "LanceDB index, its build included", expected.indexed, "s"),
    ]

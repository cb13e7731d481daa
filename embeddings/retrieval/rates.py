"""How fast this machine multiplies, by precision: measured once a process, since a processor's name does not say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal

import torch

QUERIES, ITEMS, DIMENSION = 512, 8192, 384
"""Shape of the probe: 3 billion operations a product, some 30 ms in float32 on one core."""
REPEATS = 3


@contextmanager
def threads_of_torch(threads: int | None) -> Iterator[int]:
    """Let torch use `threads` threads inside the block, or as many as before; gives how many it uses."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def fastest_precision() -> Literal["float32", "int8"]:
    """Return the precision of the fastest product with the present number of threads."""
    rates = product_rates(torch.get_num_threads())
    return "int8" if rates["int8"] > rates["float32"] else "float32"


@lru_cache
def product_rates(threads: int) -> dict[Literal["float32", "int8"], float]:
    """Measure the bare matrix product, in operations (2 a multiplication) a second of `threads` idle cores.

    Measured on one, in processor time, best of three: what else the machine does must not decide. int8 counts as 0
    where its sums are not exact or torch cannot multiply it: without VNNI instructions some processors saturate.
    """
    generator = torch.Generator().manual_seed(0)
    queries, items = (
        torch.randint(-127, 128, (rows, DIMENSION), dtype=torch.int8, generator=generator) for rows in (QUERIES, ITEMS)
    )
    extremes = torch.full((1, DIMENSION), 127, dtype=torch.int8)
    queries[0], items[0], items[1] = extremes, extremes, -extremes
    wide_queries, wide_items = queries.float(), items.float()
    product = torch.empty(QUERIES, ITEMS)
    sums = torch.empty(QUERIES, ITEMS, dtype=torch.int32)
    with threads_of_torch(1):
        rates = {"float32": threads * _rate(lambda: torch.mm(wide_queries, wide_items.T, out=product)), "int8": 0.0}
        try:
            rate = threads * _rate(lambda: torch._int_mm(queries, items.T, out=sums))
        except (AttributeError, RuntimeError):  # not in this torch, or not on this processor
            return rates  # type: ignore[return-value]
    # Sums below 2 ** 24 are exact in float32 too.
    if torch.equal(sums, product.to(torch.int32)):
        rates["int8"] = rate
    return rates  # type: ignore[return-value]


def _rate(multiply: Callable[[], object]) -> float:
    seconds = []
    multiply()
    for _ in range(REPEATS):
        started = time.process_time()
        multiply()
        seconds.append(time.process_time() - started)
    return 2 * QUERIES * ITEMS * DIMENSION / min(seconds)

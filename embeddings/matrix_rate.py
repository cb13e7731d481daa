"""The machine's own rate of matrix products: the floor that encoding and retrieval are held against."""

from __future__ import annotations

import time


def product_rate(precision: str, device: str, threads: int) -> float:
    """Return the operations a second of a large square product, best of thirty; a multiply and an add are two.

    Parameters
    ----------
    precision
        `fp32`, `bf16` or `fp16`.
    device
        `cpu` or `cuda`.
    threads
        Of the processor.
    """
    import torch

    torch.set_num_threads(threads)
    size = 2048 if device == "cpu" else 8192
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    # Its own output for all of them: fresh pages would be measured beside the product.
    product = torch.empty(size, size, dtype=dtype, device=device)
    seconds = []
    for _ in range(31):
        started = time.perf_counter()
        torch.mm(left, right, out=product)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2.0 * size**3 / min(seconds[1:])

"""Exact search at the speed of a coarse product: cheap scores decide what is looked at, float32 decides the rest.

For each block of queries: one product of all items, in int8 or float32; the highest score of each group of 32
neighbouring items; the best `w` groups, `w` somewhat over k, which hold the best `w` items; of their members the best
`w`; their cosines in float32; the best k of these. What was left out has no higher score than the lowest one kept, so
nothing can be missing if that score, plus the error that the coarse product may have, lies below the k-th cosine. The
queries where it does not, those that many items are nearly as near to, are asked again for four times as many; the few
that remain are widened: every item whose score is within the error of the k-th cosine is computed.
The error is that of independent roundings; where the cosines that were computed show another one, or where many queries
need widening, float32 takes over.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embeddings.retrieval.rescoring import rank_exactly

log = logging.getLogger(__name__)

GROUP = 32
"""Items of a group. Its maximum is one pass over contiguous memory, and 1/32 of the scores is left to select from."""
SCORES = 1 << 27
"""Scores held at once: 512 MB."""
ROWS = 1024
DEVIATIONS = 6
"""Standard deviations of the rounding error that a score may be off by."""
AGAIN = 4
"""Times as many items are looked at for a query that was left open."""
UNSURE = 0.25
"""Share of the first block that may need widening, or show a larger error, before int8 is given up for float32."""


@dataclass(frozen=True)
class Items:
    """The items, as they are and as the coarse product takes them."""

    vectors: Tensor
    """float32 `[n, d]`"""
    factors: Tensor
    """float32 or int8 `[n padded to a multiple of GROUP, d]`"""
    step: float
    """Cosine that one unit of a factor stands for: vector = step * factor; 1 for float32."""
    norm: float
    """Highest norm: 1, save for rounding, where vectors are unit vectors."""


def search(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    k: int,
    excluded: tuple[NDArray[np.int64], NDArray[np.int64]],
    precision: Literal["float32", "int8"],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what `nearest_items` documents, for 1 <= k <= n; `excluded` ascends by query.

    The error that a score may have is the sum of d rounding errors, each uniform within half a step: six standard
    deviations (for d up to 12 the bound itself). In float32 it is d units of rounding.
    """
    prepared = _prepare(torch.from_numpy(np.ascontiguousarray(items)), precision)
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    threads, padded = torch.get_num_threads(), len(prepared.factors)
    block = max(1, min(ROWS, SCORES // padded // threads))
    memory: SimpleQueue[Tensor] = SimpleQueue()
    for _ in range(min(threads, 1 + len(queries) // block)):
        memory.put(torch.empty(block, padded, dtype=torch.int32 if precision == "int8" else torch.float32))

    def answer(start: int) -> int:
        rows = slice(start, min(start + block, len(queries)))
        first, last = np.searchsorted(excluded[0], (rows.start, rows.stop))
        barred = (torch.from_numpy(excluded[0][first:last] - start), torch.from_numpy(excluded[1][first:last]))
        chosen = torch.from_numpy(np.ascontiguousarray(queries[rows]))
        scores = memory.get()
        index, cosine, unsure = _search_block(chosen, prepared, k, barred, scores[: len(chosen)])
        memory.put(scores)
        indices[rows], cosines[rows] = index.numpy(), cosine.numpy()
        return unsure

    unsure, asked = answer(0), min(block, len(queries))
    if precision == "int8" and unsure > UNSURE * asked:
        log.info("int8 left %d of the first %d queries open: float32 from here", unsure, asked)
        return search(queries, items, k, excluded, "float32")
    # A thread a block, not many a product: nothing waits for the slowest, and what torch does on one core goes on too.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(answer, range(block, len(queries), block)))
    return indices, cosines


def _prepare(vectors: Tensor, precision: Literal["float32", "int8"]) -> Items:
    # One step for all items, so that their sums compare without a product of their own.
    step = _positive(vectors.abs().max() / 127).item() if precision == "int8" else 1.0
    factors = (vectors / step).round_().to(torch.int8) if precision == "int8" else vectors
    if missing := -len(vectors) % GROUP:
        factors = torch.cat([factors, factors.new_zeros(missing, vectors.shape[1])])
    return Items(vectors, factors, step, torch.linalg.vector_norm(vectors, dim=1).max().item())


def _search_block(
    queries: Tensor, items: Items, k: int, barred: tuple[Tensor, Tensor], scores: Tensor
) -> tuple[Tensor, Tensor, int]:
    """Return indices and cosines of the best k, and how many queries the scores were not fit for; fills `scores`."""
    unit, error = _multiply(queries, items, scores)
    nothing = _nothing(scores)
    scores[:, len(items.vectors) :] = nothing
    scores[barred] = nothing
    width = 8 + k + k // 2
    index, cosines, doubtful = _rank_best(queries, items, k, scores, unit, error, width)
    again = torch.nonzero(doubtful)[:, 0]
    if len(again) and width < len(items.vectors):
        asked = (queries[again], items, k, scores[again], unit[again], error[again])
        index[again], cosines[again], doubtful[again] = _rank_best(*asked, AGAIN * width)
    coarse = scores.gather(1, index.clamp(min=0)) * unit[:, None]
    misjudged = (((coarse - cosines).abs() > error[:, None]) & (index >= 0)).any(dim=1)
    for row in torch.nonzero(doubtful)[:, 0].tolist():
        reached = torch.nonzero(scores[row] * unit[row] >= cosines[row, -1] - error[row])[None, :, 0]
        index[row], cosines[row] = rank_exactly(queries[row : row + 1], items.vectors, reached, k)
    return index, cosines, int((doubtful | misjudged).sum())


def _rank_best(
    queries: Tensor, items: Items, k: int, scores: Tensor, unit: Tensor, error: Tensor, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return indices and cosines of the best k among the `width` highest scores, and whether there may be better."""
    nothing = _nothing(scores)
    kept, index = _best(scores, min(width, len(items.vectors)))
    index, cosines = rank_exactly(queries, items.vectors, index.masked_fill_(kept == nothing, -1), k)
    lowest = kept.amin(dim=1)
    return index, cosines, (lowest != nothing) & (cosines[:, -1] <= lowest * unit + error)


def _multiply(queries: Tensor, items: Items, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Fill `scores`; return, a query each, the cosine that a score of 1 stands for and the error of a score."""
    norms = torch.linalg.vector_norm(queries, dim=1)
    rounding = queries.shape[1] * 2.0**-23 * norms * items.norm
    if scores.dtype == torch.float32:
        torch.mm(queries, items.factors.T, out=scores)
        return torch.ones_like(norms), rounding
    step = _positive(queries.abs().amax(dim=1) / 127)
    torch._int_mm((queries / step[:, None]).round_().to(torch.int8), items.factors.T, out=scores)
    deviation = torch.sqrt(((step * items.norm) ** 2 + (norms * items.step) ** 2) / 12)
    return step * items.step, DEVIATIONS * deviation + rounding


def _best(scores: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return the `width` highest scores of each row and their columns, in any order."""
    rows, groups = len(scores), scores.shape[1] // GROUP
    grouped = scores.view(rows, groups, GROUP)
    best = grouped.amax(dim=2).topk(min(width, groups), dim=1, sorted=False).indices
    place = best + torch.arange(0, rows * groups, groups)[:, None]
    members = scores.view(-1, GROUP).index_select(0, place.view(-1)).view(rows, -1)
    kept, member = members.topk(width, dim=1, sorted=False)
    return kept, best.gather(1, member // GROUP) * GROUP + member % GROUP


def _nothing(scores: Tensor) -> float:
    """Return the score of what may not be found."""
    return torch.iinfo(scores.dtype).min if scores.dtype == torch.int32 else float("-inf")


def _positive(step: Tensor) -> Tensor:
    """Replace a step of 0, of a vector of zeros, which would divide by 0."""
    return torch.where(step > 0, step, 1.0)

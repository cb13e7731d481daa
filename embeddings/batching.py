"""Texts in batches through a backend: by token budget, tokenised ahead, whatever breaks set aside.

Batches hold texts of similar length, so that little is computed for padding. While the backend's streams compute, the
next texts are tokenised. A batch that fails is halved, down to the text that breaks the model; one that does not fit
the memory likewise.
"""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.backends import Backend
from embeddings.model import ModelError
from embeddings.progress import Progress
from embeddings.tokens import Tokeniser, Tokens

log = logging.getLogger(__name__)

TEXTS_A_WINDOW = 4096
"""Texts tokenised at a time, so that token ids of a large job do not fill the memory."""
_BROKEN_BATCH = 8
"""So many texts of which none can be encoded: it is not the texts."""


class Encoded(NamedTuple):
    """Some of the texts that were asked for."""

    rows: NDArray[np.int64]
    """Positions in the list of texts, `[n]`."""
    vectors: NDArray[np.float32]
    """Unit vectors, `[n, d]`."""
    tokens: int
    """Tokens computed, padding not counted."""
    truncated: int
    """Texts longer than the model's limit, or cut before: their end was not read."""
    failed: dict[int, str]
    """Positions of texts that broke the encoder, with the class of the error. They are not among `rows`."""


def encode_batches(
    backend: Backend, tokenise: Tokeniser, texts: Sequence[str], prompt: str, cut: Collection[str]
) -> Iterator[Encoded]:
    """Encode texts, shortest first; see `Encoder.batches`. As many batches as the backend has streams run at a time."""
    progress = Progress(len(texts), sum(map(len, texts)))
    with ThreadPoolExecutor(backend.streams, thread_name_prefix="encode") as streams:
        waiting: deque[Future[Encoded]] = deque()
        try:
            for rows, tokens in _batches(backend, tokenise, texts, prompt):
                waiting.append(streams.submit(_encode, backend, texts, rows, tokens, cut))
                # One more for each stream, so that none waits while the next batch is made.
                while len(waiting) > 2 * backend.streams:
                    yield _taken(waiting, progress, texts)
            while waiting:
                yield _taken(waiting, progress, texts)
        finally:
            streams.shutdown(cancel_futures=True)


def _batches(
    backend: Backend, tokenise: Tokeniser, texts: Sequence[str], prompt: str
) -> Iterator[tuple[list[int], list[Tokens]]]:
    """Cut the texts, ordered by length, where the next one would exceed the budget, padding counted."""
    order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), texts[row]))
    for start in range(0, len(order), TEXTS_A_WINDOW):
        window = order[start : start + TEXTS_A_WINDOW]
        tokens = dict(zip(window, tokenise([prompt + texts[row] for row in window]), strict=True))
        window.sort(key=lambda row: (tokens[row].length, texts[row]))
        first = 0
        for end in range(1, len(window) + 1):
            if end == len(window) or tokens[window[end]].length * (end + 1 - first) > backend.tokens_a_batch:
                rows = window[first:end]
                yield rows, [tokens[row] for row in rows]
                first = end


def _encode(
    backend: Backend, texts: Sequence[str], rows: list[int], tokens: list[Tokens], cut: Collection[str]
) -> Encoded:
    failed: dict[int, str] = {}
    vectors = _halving(backend, rows, tokens, failed)
    if len(failed) == len(rows) >= _BROKEN_BATCH:
        raise ModelError(
            f"none of {len(rows)} texts could be encoded by {backend.name} ({next(iter(failed.values()))}): "
            "it is broken here, choose another by the setting backend"
        )
    if failed:
        log.warning("%d texts broke the encoder and are skipped: %s", len(failed), ", ".join(set(failed.values())))
    good = [(row, one) for row, one in zip(rows, tokens, strict=True) if row not in failed]
    return Encoded(
        np.array([row for row, _ in good], dtype=np.int64),
        vectors,
        sum(one.length for _, one in good),
        sum(one.truncated or texts[row] in cut for row, one in good),
        failed,
    )


def _halving(backend: Backend, rows: list[int], tokens: list[Tokens], failed: dict[int, str]) -> NDArray[np.float32]:
    """Return the unit vectors of the texts that can be encoded, in their order; the others go to `failed`."""
    try:
        vectors = backend.compute([one.content for one in tokens])
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise FloatingPointError("a vector is not finite, or null")
        unit: NDArray[np.float32] = (vectors / norms).astype(np.float32)
        return unit
    except Exception as error:
        kind, full = type(error).__name__, isinstance(error, MemoryError) or "memory" in str(error).lower()
    if full:  # outside the except clause: the error holds on to the tensors that did not fit
        _release()
    if len(rows) > 1:
        half = len(rows) // 2
        log.info("a batch of %d texts failed (%s): halved", len(rows), kind)
        parts = [_halving(backend, rows[part], tokens[part], failed) for part in (slice(half), slice(half, None))]
        return np.concatenate([part for part in parts if len(part)] or parts)
    failed[rows[0]] = kind
    return np.empty((0, 0), dtype=np.float32)


def _release() -> None:
    """Give back memory that a failed batch took."""
    import sys

    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _taken(waiting: deque[Future[Encoded]], progress: Progress, texts: Sequence[str]) -> Encoded:
    done = waiting.popleft().result()
    rows = [*done.rows.tolist(), *done.failed]
    progress.add(len(rows), sum(len(texts[row]) for row in rows), done.tokens)
    return done

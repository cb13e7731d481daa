"""The text encoder: texts to unit vectors."""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.model import Model, ModelError, describe_model
from embeddings.settings import Settings

log = logging.getLogger(__name__)

TOKENS_A_BATCH = 1024
"""Padded tokens computed at a time: small batches fit a CPU's caches and need the least padding."""
TEXTS_A_WINDOW = 2048
"""Texts tokenised at a time, so that token ids of a large job do not fill the memory."""
SECONDS_BETWEEN_PROGRESS = 10.0


class Encoded(NamedTuple):
    """Some of the texts that were asked for, encoded."""

    rows: NDArray[np.int64]
    """Positions in the list of texts, `[n]`."""
    vectors: NDArray[np.float32]
    """Unit vectors, `[n, d]`."""
    tokens: int
    """Tokens computed, padding not counted."""
    truncated: int
    """Texts longer than the model's limit, or cut before: their end was not read."""


class Encoder:
    """A loaded sentence-transformers model. Make it with `load_encoder`."""

    def __init__(self, model: Model, transformer: Any) -> None:
        self.model_id = model.model_id
        self.dimension = model.dimension
        self._transformer = transformer

    def encode(self, texts: list[str], prompt: str = "") -> tuple[NDArray[np.float32], int, int]:
        """Return unit vectors float32 `[n, d]` in the order of the texts, tokens computed, texts truncated.

        `prompt` is put before each text. An empty text would get a valid vector of nothing: filter them out before.
        """
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokens = truncated = 0
        for batch in self.batches(texts, prompt):
            vectors[batch.rows] = batch.vectors
            tokens += batch.tokens
            truncated += batch.truncated
        return vectors, tokens, truncated

    def batches(self, texts: list[str], prompt: str = "", cut: Collection[str] = frozenset()) -> Iterator[Encoded]:
        """Encode in batches of similar length by token budget, shortest first; progress is logged.

        `cut` are texts that were truncated before they came here: they count as such, however few tokens are left.
        The batches follow from the set of texts, not from their order: the same texts give the same bits.
        """
        order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), texts[row]))
        limit = self._transformer.max_seq_length or np.iinfo(np.int32).max
        progress = _Progress(len(texts), sum(map(len, texts)))
        for start in range(0, len(order), TEXTS_A_WINDOW):
            window = order[start : start + TEXTS_A_WINDOW]
            counts = dict(zip(window, self._count_tokens([prompt + texts[row] for row in window]), strict=True))
            window.sort(key=lambda row: (counts[row], texts[row]))
            for rows in _cut(window, [min(counts[row], limit) for row in window]):
                vectors = self._transformer.encode(
                    [prompt + texts[row] for row in rows],
                    prompt="",
                    batch_size=len(rows),
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
                if not np.isfinite(vectors).all():
                    raise ModelError(f"{self.model_id} made a vector that is not finite: use another model")
                tokens = sum(min(counts[row], limit) for row in rows)
                progress.add(len(rows), sum(len(texts[row]) for row in rows), tokens)
                yield Encoded(
                    np.array(rows), vectors, tokens, sum(counts[row] > limit or texts[row] in cut for row in rows)
                )

    def _count_tokens(self, texts: list[str]) -> list[int]:
        encoded = self._transformer.tokenizer(texts, truncation=False, verbose=False, return_attention_mask=False)
        return [len(ids) for ids in encoded["input_ids"]]


def _cut(rows: list[int], tokens: list[int]) -> Iterator[list[int]]:
    """Cut rows of ascending token counts where the next row would exceed the budget, padding counted."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or tokens[end] * (end + 1 - start) > TOKENS_A_BATCH:
            yield rows[start:end]
            start = end


class _Progress:
    """Logs how far a long job is and how long it will take; the estimate goes by characters."""

    def __init__(self, texts: int, characters: int) -> None:
        self._texts, self._characters = texts, characters
        self._done = np.zeros(3, dtype=np.int64)
        self._started = self._logged = time.monotonic()

    def add(self, texts: int, characters: int, tokens: int) -> None:
        self._done += (texts, characters, tokens)
        now = time.monotonic()
        if now - self._logged < SECONDS_BETWEEN_PROGRESS:
            return
        self._logged = now
        seconds = now - self._started
        left = seconds * (self._characters - self._done[1]) / max(self._done[1], 1)
        rate = self._done[2] / seconds
        log.info("encoded %d of %d texts, %.0f tokens/s, about %.0f s left", self._done[0], self._texts, rate, left)


def load_encoder(settings: Settings) -> Encoder:
    """Load the configured model, once a process: offline, safetensors only, no code from the model's folder.

    Raises
    ------
    ModelError
        If there is no such model, or it is not a sentence-transformers model with safetensors weights.
    """
    model = describe_model(settings)
    return Encoder(model, _load(model, settings.threads))


@functools.lru_cache(maxsize=1)
def _load(model: Model, threads: int) -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"  # before the import: read once there
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    # Loading takes a second, and a bar is noise in a task's log.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    transformer = SentenceTransformer(
        str(model.path),
        device="cpu",
        trust_remote_code=False,
        local_files_only=True,
        model_kwargs={"use_safetensors": True},
    )
    if (dimension := transformer.get_embedding_dimension()) != model.dimension:
        raise ModelError(
            f"{model.model_id} makes vectors of {dimension} dimensions: its configuration is at odds with it"
        )
    return transformer


def identify_model(settings: Settings) -> str:
    """Return the identity of the configured model, `name@revision/dimension/precision`, without loading it."""
    return describe_model(settings).model_id

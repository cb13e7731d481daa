"""Tokens are counted as the model counts them, without its weights."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embeddings.backends.pytorch import load_transformer
from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.tokens import count_tokens, load_tokeniser, pad

TEXTS = ["a cat", "Ünïcödé, 中文 and 🙂", "cat " * 900, "x" * 5000, "!", "Mixed CASE Words"]


def test_token_ids_are_those_of_sentence_transformers(settings: Settings) -> None:
    model = describe_model(settings)
    expected = load_transformer(model, "cpu").tokenizer(TEXTS, truncation=True, max_length=256)["input_ids"]
    assert [list(tokens.content) for tokens in load_tokeniser(model)(TEXTS)] == expected


def test_counts_stop_at_the_limit_and_say_so(settings: Settings) -> None:
    tokens = load_tokeniser(describe_model(settings))(["cat " * 254, "cat " * 255])
    assert [(one.length, one.truncated) for one in tokens] == [(256, False), (256, True)]
    assert count_tokens(settings, ["cat", "a cat"], prompt="film: ").tolist() == [5, 6]


def test_counting_imports_neither_torch_nor_transformers(settings: Settings) -> None:
    code = (
        "import sys; from embeddings.tokens import count_tokens; from embeddings.settings import load_settings;"
        "assert count_tokens(load_settings(), ['a cat']).tolist() == [4];"
        "assert not {'torch', 'transformers', 'openvino'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(st.lists(st.lists(st.integers(1, 30_000), min_size=1, max_size=40), min_size=1, max_size=20))
def test_padding_keeps_every_token_and_masks_the_rest(rows: list[list[int]]) -> None:
    ids, mask = pad(rows, 0)
    assert ids.shape == mask.shape == (len(rows), max(map(len, rows)))
    assert [ids[row][mask[row] == 1].tolist() for row in range(len(rows))] == rows
    assert np.all(ids[mask == 0] == 0)

"""Batches by token budget, and what happens to texts that break the encoder. The backends here wrap the real one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from embeddings.backends import Backend, load_backend
from embeddings.batching import Encoded, encode_batches
from embeddings.model import ModelError, describe_model
from embeddings.settings import load_settings
from embeddings.tokens import Tokens, load_tokeniser

POISON = 2


class Watched:
    """Computes what the real backend would; notes the batches and may refuse some."""

    def __init__(self, refuse: Callable[[Sequence[Any]], Exception | None] = lambda _: None, budget: int = 64) -> None:
        self.name, self.streams, self.tokens_a_batch = "watched", 2, budget
        self.batches: list[list[int]] = []
        self._refuse, self._lock = refuse, threading.Lock()

    def compute(self, contents: Sequence[Any]) -> NDArray[np.float32]:
        with self._lock:
            self.batches.append([len(content) for content in contents])
        if (error := self._refuse(contents)) is not None:
            raise error
        return np.array([[len(content), 1] for content in contents], dtype=np.float32)


def words(texts: Sequence[str]) -> list[Tokens]:
    return [Tokens(text.split(), len(text.split()), False) for text in texts]


def encode(backend: Backend, texts: list[str]) -> list[Encoded]:
    return list(encode_batches(backend, words, texts, "", ()))


@given(st.lists(st.integers(1, 80), min_size=1, max_size=200), st.integers(1, 100))
def test_every_text_comes_back_once_and_no_batch_exceeds_its_budget(lengths: list[int], budget: int) -> None:
    backend = Watched(budget=budget)
    done = encode(backend, ["word " * length for length in lengths])
    assert sorted(row for batch in done for row in batch.rows) == list(range(len(lengths)))
    assert sum(batch.tokens for batch in done) == sum(lengths)
    assert all(len(batch) == 1 or len(batch) * max(batch) <= budget for batch in backend.batches)
    for batch in done:
        for row, vector in zip(batch.rows, batch.vectors, strict=True):
            assert np.isclose(np.linalg.norm(vector), 1)
            assert vector[0] / vector[1] == pytest.approx(
                lengths[row] / backend.compute([["word"] * lengths[row]])[0][1]
            )


@given(st.sets(st.integers(0, 59), max_size=5))
def test_only_the_texts_that_break_the_encoder_are_set_aside(bad: set[int]) -> None:
    texts = [f"text {row} " + ("poison" if row in bad else "fine") for row in range(60)]
    backend = Watched(lambda batch: ValueError("a secret text") if any("poison" in text for text in batch) else None)
    done = encode(backend, texts)
    assert {row: kind for batch in done for row, kind in batch.failed.items()} == dict.fromkeys(bad, "ValueError")
    assert sorted(row for batch in done for row in batch.rows) == sorted(set(range(60)) - bad)


def test_what_the_log_says_of_a_broken_text_is_not_its_content(caplog: pytest.LogCaptureFixture) -> None:
    backend = Watched(lambda batch: ValueError(str(batch)) if any("poison" in text for text in batch) else None)
    with caplog.at_level(logging.INFO):
        encode(backend, ["poison", *["fine"] * 3])
    assert "1 texts broke the encoder" in caplog.text
    assert "poison" not in caplog.text


def test_a_batch_that_does_not_fit_the_memory_is_halved_down_to_one() -> None:
    backend = Watched(lambda batch: MemoryError() if len(batch) > 1 else None)
    done = encode(backend, ["word"] * 16)
    assert sum(len(batch.rows) for batch in done) == 16
    assert not any(batch.failed for batch in done)
    assert sorted({len(batch) for batch in backend.batches}, reverse=True) == [16, 8, 4, 2, 1]


def test_an_encoder_that_breaks_on_everything_stops_the_job_and_says_what_to_change() -> None:
    with pytest.raises(ModelError, match=r"none of 20 texts .* setting backend"):
        encode(Watched(lambda _: RuntimeError("no kernel")), ["word"] * 20)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_vector_without_a_direction_is_no_vector(value: float) -> None:
    class Spoilt(Watched):
        def compute(self, contents: Sequence[Any]) -> NDArray[np.float32]:
            vectors = super().compute(contents)
            vectors[[len(content) == POISON for content in contents]] = value
            return vectors

    done = encode(Spoilt(), ["one", "two words", "three words more"])
    assert {row: kind for batch in done for row, kind in batch.failed.items()} == {1: "FloatingPointError"}


def test_a_reader_that_stops_early_stops_the_work() -> None:
    backend = Watched(budget=1)
    batches = encode_batches(backend, words, ["word"] * 500, "", ())
    next(batches)
    batches.close()
    assert len(backend.batches) < 20


def test_the_real_backend_meets_a_text_that_the_model_cannot_read(tmp_path: Any) -> None:
    settings = load_settings(home=tmp_path, backend="torch-cpu-fp32")
    model = describe_model(settings)
    tokenise = load_tokeniser(model)

    def with_an_unknown_token(texts: Sequence[str]) -> list[Tokens]:
        # A token beyond the vocabulary: what a tokeniser that does not belong to its model makes.
        bad = Tokens([10**6], 1, False)
        return [bad if text == "bad" else one for text, one in zip(texts, tokenise(texts), strict=True)]

    backend = load_backend("torch-cpu-fp32", model, settings)
    done = list(encode_batches(backend, with_an_unknown_token, ["good", "bad", "fine"], "", ()))
    assert [list(batch.failed) for batch in done if batch.failed] == [[1]]
    assert sorted(row for batch in done for row in batch.rows) == [0, 2]

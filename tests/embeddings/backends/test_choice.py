"""Which backend is picked: the fastest that is faithful to the reference, measured once a machine and recorded."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embeddings.backends import REFERENCE, candidates, load_backend
from embeddings.backends.choice import pick, record_file
from embeddings.backends.fidelity import measure
from embeddings.encoder import load_encoder
from embeddings.model import ModelError, describe_model
from embeddings.settings import Settings, load_settings

TEXTS = ["A film about astronauts who settle on Mars.", "Recipes for sourdough bread", "heat", "long " * 150]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a machine whose backends have been measured."""
    folder = tmp_path_factory.mktemp("machine")
    settings = load_settings(home=folder / "home", cache=folder / "cache")
    pick(describe_model(settings), settings, TEXTS)
    return settings


def test_what_was_measured_is_recorded_and_the_fastest_faithful_backend_is_taken(measured: Settings) -> None:
    record = json.loads(record_file(describe_model(measured), measured).read_text())
    figures = record["backends"]
    assert set(figures) == set(candidates(describe_model(measured)))
    assert figures[REFERENCE]["passes"] and figures[REFERENCE]["mean_cosine"] > 0.999999
    assert figures["openvino-cpu-fp32"]["same_neighbours"] > 0.99
    faithful = {name: one["tokens_per_second"] for name, one in figures.items() if one["passes"]}
    assert load_encoder(measured).backend == max(faithful, key=faithful.__getitem__)
    assert record["machine"]["openvino"] and "settle on Mars" not in json.dumps(record)


def test_a_recorded_machine_is_not_measured_again(measured: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        pick(describe_model(measured), measured, TEXTS)
    assert "comparing backends" not in caplog.text


def test_an_unfaithful_backend_is_not_picked_however_fast(measured: Settings, tmp_path: Path) -> None:
    model, other = describe_model(measured), load_settings(home=tmp_path, cache=tmp_path / "cache")
    record = json.loads(record_file(model, measured).read_text())
    for name, figures in record["backends"].items():
        figures.update(passes=name == REFERENCE, tokens_per_second=1 if name == REFERENCE else 10**6)
    file = record_file(model, other)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(record))
    assert pick(model, other, ()).name == REFERENCE


def test_a_backend_by_name_is_taken_and_an_unknown_one_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="set it to auto, or to torch-cpu-fp32"):
        load_encoder(load_settings(home=tmp_path, backend="abacus"))
    assert load_encoder(load_settings(home=tmp_path, backend=REFERENCE)).backend == REFERENCE


@pytest.mark.parametrize("name", candidates(describe_model(load_settings())))
def test_every_backend_of_this_machine_makes_the_same_space(name: str, tmp_path: Path) -> None:
    encoders = [load_encoder(load_settings(home=tmp_path, backend=backend)) for backend in (REFERENCE, name)]
    assert encoders[0].model_id == encoders[1].model_id
    (expected, *_), (got, *_) = (encoder.encode(TEXTS) for encoder in encoders)
    assert (expected * got).sum(axis=1).min() > 0.999


def test_a_converted_model_is_embedded_without_torch(measured: Settings) -> None:
    code = (
        "import sys; from embeddings.encoder import load_encoder; from embeddings.settings import load_settings\n"
        "settings = load_settings(home=sys.argv[1], cache=sys.argv[2], backend='openvino-cpu-fp32')\n"
        "vectors, *_ = load_encoder(settings).encode(['a cat'])\n"
        "assert vectors.shape == (1, 384) and 'torch' not in sys.modules and sys.modules['openvino_telemetry'] is None"
    )
    subprocess.run([sys.executable, "-c", code, str(measured.root), str(measured.cache_path)], check=True)


def test_fidelity_sees_noise_wrong_neighbours_and_a_dependence_on_the_batch() -> None:
    random = np.random.default_rng(0)

    def unit(vectors: np.ndarray) -> np.ndarray:
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    reference = unit(random.normal(size=(300, 64)))
    assert measure(reference, reference, lambda row: reference[row]).passes
    noisy = unit(reference + 0.03 * random.normal(size=reference.shape))
    figures = measure(reference, noisy, lambda row: noisy[row])
    assert not figures.passes and figures.mean_cosine < 0.999 and figures.alone_cosine > 0.9999
    one_off = reference.copy()
    one_off[7] = reference[8]
    assert measure(reference, one_off, lambda row: one_off[row]).worst_cosine < 0.99
    assert not measure(reference, reference, lambda row: noisy[row]).passes


def test_backends_are_loaded_by_name_only(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    with pytest.raises(ValueError, match="no backend 'torch-cuda-bf17'"):
        load_backend("torch-cuda-bf17", describe_model(settings), settings)

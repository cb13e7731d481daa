"""Which backend computes a model on this machine: the fastest that is faithful, measured once and recorded."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.backends import REFERENCE, Backend, candidates, load_backend
from embeddings.backends.fidelity import measure
from embeddings.batching import encode_batches
from embeddings.model import Model, ModelError
from embeddings.sample_texts import reference_paragraphs
from embeddings.settings import Settings
from embeddings.tokens import load_tokeniser

log = logging.getLogger(__name__)

SAMPLE_TEXTS, SAMPLE_TOKENS = 400, 10_000
"""Size of the sample: a second or two of the reference."""


def pick(model: Model, settings: Settings, sample: Sequence[str]) -> Backend:
    """Load the backend that the settings name, or the one recorded for this machine, measured if none is yet.

    Raises
    ------
    ModelError
        If the settings name a backend that this machine or this model has not.
    """
    names = candidates(model)
    if settings.backend != "auto":
        if settings.backend not in names:
            raise ModelError(f"no backend {settings.backend!r} here: set it to auto, or to {' or '.join(names)}")
        return load_backend(settings.backend, model, settings)
    if len(names) == 1:
        return load_backend(names[0], model, settings)
    file = record_file(model, settings)
    if not file.is_file():
        figures = compare_backends(model, settings, sample)
        _write(file, {"model": model.model_id, "machine": _machine(), "backends": figures})
    figures = json.loads(file.read_text())["backends"]
    faithful = [name for name in names if figures.get(name, {}).get("passes")]
    chosen = max(faithful, key=lambda name: figures[name]["tokens_per_second"], default=REFERENCE)
    log.info("%s is computed by %s: %s", model.model_id, chosen, figures.get(chosen))
    return load_backend(chosen, model, settings)


def compare_backends(model: Model, settings: Settings, sample: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return speed and fidelity of every backend that this machine has for a model, by name.

    Parameters
    ----------
    sample
        Texts to judge by; paragraphs of plain English are added where they are few.
    """
    texts = _choose(model, sample)
    log.info("comparing backends for %s on %d texts, once on this machine", model.model_id, len(texts))
    figures: dict[str, dict[str, Any]] = {}
    reference: NDArray[np.float32] | None = None
    for name in candidates(model):
        try:
            backend = load_backend(name, model, settings)
            vectors, rate = _run(backend, model, texts)
        except Exception as error:  # a library that cannot serve this model must not stop the one that can
            log.warning("%s cannot compute %s: %s", name, model.model_id, error)
            figures[name] = {"passes": False, "error": type(error).__name__}
            continue
        if reference is None:
            reference = vectors
        fidelity = measure(reference, vectors, lambda row, one=backend: _run(one, model, [texts[row]])[0][0])  # type: ignore[misc]
        figures[name] = {
            "passes": fidelity.passes,
            "tokens_per_second": round(rate),
            **fidelity._asdict(),
            "texts": len(texts),
        }
    return figures


def record_file(model: Model, settings: Settings) -> Path:
    """Return the file that records what was measured for a model on this machine, with these threads."""
    machine = hashlib.sha256(json.dumps([_machine(), settings.threads]).encode()).hexdigest()[:12]
    return settings.cache_path / "backends" / f"{model.model_id.replace('/', '-')}-{machine}.json"


def _choose(model: Model, sample: Sequence[str]) -> list[str]:
    """Return a bounded sample: of the texts given, and of plain English if those are few."""
    tokenise = load_tokeniser(model)
    chosen: list[str] = []
    tokens = 0
    random = np.random.default_rng(0)
    for texts in (sorted({text for text in sample if text}), reference_paragraphs()):
        order = random.permutation(len(texts))[:SAMPLE_TEXTS]
        for text, one in zip([texts[row] for row in order], tokenise([texts[row] for row in order]), strict=True):
            if tokens + one.length <= SAMPLE_TOKENS and len(chosen) < SAMPLE_TEXTS:
                chosen.append(text)
                tokens += one.length
    return list(dict.fromkeys(chosen))


def _run(backend: Backend, model: Model, texts: list[str]) -> tuple[NDArray[np.float32], float]:
    """Return the vectors of texts and tokens a second, of the second of two passes where there are many."""
    tokenise = load_tokeniser(model)
    vectors = np.zeros((len(texts), model.dimension), dtype=np.float32)
    rate = 0.0
    for part in (texts[: len(texts) // 10], texts):
        started, tokens = time.perf_counter(), 0
        for batch in encode_batches(backend, tokenise, part, "", ()):
            if batch.failed:
                raise ModelError(f"{len(batch.failed)} texts broke it: {set(batch.failed.values())}")
            vectors[batch.rows] = batch.vectors
            tokens += batch.tokens
        rate = tokens / max(time.perf_counter() - started, 1e-9)
    return vectors, rate


def _machine() -> dict[str, Any]:
    """Describe what decides speed and rounding: processor, its abilities, accelerator and library versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    abilities = next((line for line in lines if line.startswith("flags")), "")
    driver = Path("/proc/driver/nvidia/version")
    return {
        "processor": next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), ""),
        "abilities": hashlib.sha256(abilities.encode()).hexdigest()[:12] if abilities else platform.machine(),
        "cores": os.cpu_count(),
        "accelerator": driver.read_text().splitlines()[0] if driver.is_file() else "",
        **{name: importlib.metadata.version(name) for name in ("torch", "openvino", "sentence-transformers")},
    }


def _write(file: Path, content: dict[str, Any]) -> None:
    """Record the figures, unless another process was first: then its record holds for both."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".record.")
    part = Path(name)
    with os.fdopen(handle, "w") as stream:
        json.dump(content, stream, indent=2)
    try:
        file.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink()

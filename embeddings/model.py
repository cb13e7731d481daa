"""Which model is configured: its folder, its identity and its dimension, found without loading it."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from embeddings.settings import Settings

# What decides a vector: weights, configuration and vocabulary.
_DECIDING_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}


class ModelError(RuntimeError):
    """The configured model cannot be used; the message says what to change."""


class Model(NamedTuple):
    """A model on this machine, described without loading it."""

    model_id: str
    """`name@revision/dimension/precision`; the revision is a hash of its files."""
    dimension: int
    path: Path


def describe_model(settings: Settings) -> Model:
    """Find the configured model and derive its identity from its files. Raises `ModelError` as `load_encoder` does."""
    path = _find(settings.model)
    name = path.name if os.sep in settings.model else settings.model
    files = tuple(sorted(file for file in path.rglob("*") if file.suffix in _DECIDING_SUFFIXES))
    if not any(file.suffix == ".safetensors" for file in files):
        raise ModelError(
            f"model {settings.model!r} has no .safetensors weights: other formats can run code, convert it"
        )
    stamps = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    dimension = _dimension(path)
    return Model(f"{name}@{_revision(path, files, stamps)}/{dimension}/fp32", dimension, path)


def _find(name: str) -> Path:
    if os.sep in name:
        path = Path(name).expanduser().resolve()
        if not (path / "modules.json").is_file():
            raise ModelError(
                f"no sentence-transformers model (modules.json) in folder {name!r}: check the setting model"
            )
        return path
    if re.fullmatch(r"\w[\w.-]*", name) and (spec := importlib.util.find_spec(re.sub(r"[-.]", "_", name))):
        for folder in spec.submodule_search_locations or ():
            for file in (Path(folder) / "model" / "modules.json", Path(folder) / "modules.json"):
                if file.is_file():
                    return file.parent
    raise ModelError(
        f"no installed package {name!r} ships a sentence-transformers model: install it, or set model to a path"
    )


@functools.lru_cache(maxsize=8)
def _revision(path: Path, files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]


def _dimension(path: Path) -> int:
    """Return the dimension after the last module that states one; else the transformer's."""
    found = json.loads((path / "config.json").read_text()).get("hidden_size")
    for module in json.loads((path / "modules.json").read_text()):
        config = path / module["path"] / "config.json"
        values = json.loads(config.read_text()) if module["path"] and config.is_file() else {}
        found = next(
            (
                values[key]
                for key in ("out_features", "embedding_dimension", "word_embedding_dimension")
                if key in values
            ),
            found,
        )
    if not isinstance(found, int):
        raise ModelError(f"cannot tell the dimension of the model in {path.name!r}: modules.json states none")
    return found

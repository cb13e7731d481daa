"""Versions of trained models below `<root>/models/<kind>/`, and the log of who was made champion.

A version is a folder named by its content, with a `card.json`; it is never changed. `champions.jsonl` is append-only:
the champion of a window is the newest entry whose training data end at or before the window's `as_of`, so a backfill
never learns from its future. Going back is one more entry.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tideline.run import write_atomically

KINDS = ("gate", "ranker")
CARD = "card.json"


class ModelStoreError(ValueError):
    """A version that is not there; the message says which there are."""


class Version(NamedTuple):
    """One trained model."""

    kind: str
    name: str
    folder: Path
    trained_until: datetime
    """End of the data it learned from, labels included; UTC without a zone."""
    card: dict[str, Any]


def save_version(root: Path, kind: str, write: Callable[[Path], dict[str, Any]]) -> Version:
    """Store a new version; the same content twice is one version.

    Parameters
    ----------
    root
        Home of the source.
    kind
        One of `KINDS`.
    write
        Writes the model's files into the folder it is given and returns its card, which must hold `trained_until`
        (ISO 8601, UTC).
    """
    folder = _folder(root, kind)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
        part = Path(scratch) / "version"
        part.mkdir()
        card = write(part)
        datetime.fromisoformat(card["trained_until"])
        write_atomically(part / CARD, json.dumps(card, indent=2, sort_keys=True, allow_nan=False))
        name = f"{kind}-{_digest(part)}"
        if not (folder / name).exists():
            part.rename(folder / name)
    return _read(folder / name, kind)


def list_versions(root: Path, kind: str) -> list[Version]:
    """Return the stored versions of a kind, by the end of their training data, then by name."""
    found = [_read(file.parent, kind) for file in _folder(root, kind).glob(f"{kind}-*/{CARD}")]
    return sorted(found, key=lambda version: (version.trained_until, version.name))


def find_version(root: Path, name: str) -> Version:
    """Return a stored version by its name. Raises `ModelStoreError` if it is gone."""
    folder = _folder(root, "ranker") / name
    if not (folder / CARD).is_file():
        raise ModelStoreError(f"the version {name!r} is not stored: train again, or go back to another")
    return _read(folder, "ranker")


def promote(root: Path, version: Version, reason: str) -> None:
    """Make a version the champion from now on; `reason` is for people."""
    log = _folder(root, version.kind) / "champions.jsonl"
    entry = {"version": version.name, "at": datetime.now(UTC).isoformat(timespec="seconds"), "reason": reason}
    with _locked(log), log.open("a") as stream:
        stream.write(json.dumps(entry) + "\n")


def champion_for(root: Path, kind: str, as_of: datetime) -> Version | None:
    """Return the newest champion whose training data end at or before `as_of` (UTC); None if there is none."""
    limit = _naive(as_of)
    for entry in reversed(_champions(root, kind)):
        folder = _folder(root, kind) / entry["version"]
        if (folder / CARD).is_file() and (version := _read(folder, kind)).trained_until <= limit:
            return version
    return None


def use_version(root: Path, kind: str, name: str) -> Version:
    """Make a stored version the champion by its name. Raises `ModelStoreError` if there is none of that name."""
    versions = {version.name: version for version in list_versions(root, kind)}
    if name not in versions:
        raise ModelStoreError(f"no {kind} {name!r} is stored; there are: {', '.join(versions) or 'none'}")
    promote(root, versions[name], "chosen by hand")
    return versions[name]


def go_back(root: Path, kind: str) -> Version:
    """Make the champion before the present one champion again.

    Raises
    ------
    ModelStoreError
        If there was none before it.
    """
    names = [entry["version"] for entry in _champions(root, kind)]
    earlier = [name for name in names if name != names[-1]]
    if not earlier:
        raise ModelStoreError(f"there is no earlier {kind} to go back to: {len(set(names))} was champion so far")
    version = _read(_folder(root, kind) / earlier[-1], kind)
    promote(root, version, f"back from {names[-1]}")
    return version


def remove_unused(root: Path, kind: str, keep: int) -> int:
    """Remove versions that never became champion, but the newest `keep` of all; return how many went."""
    champions = {entry["version"] for entry in _champions(root, kind)}
    rejected = [version for version in list_versions(root, kind)[:-keep] if version.name not in champions]
    for version in rejected:
        shutil.rmtree(version.folder)
    return len(rejected)


def _folder(root: Path, kind: str) -> Path:
    if kind not in KINDS:
        raise ModelStoreError(f"no models of kind {kind!r}, there are {', '.join(KINDS)}")
    return root / "models" / kind


def _champions(root: Path, kind: str) -> list[dict[str, Any]]:
    log = _folder(root, kind) / "champions.jsonl"
    # A line without its end was being written when its writer was killed.
    lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _read(folder: Path, kind: str) -> Version:
    card = json.loads((folder / CARD).read_text())
    return Version(kind, folder.name, folder, _naive(datetime.fromisoformat(card["trained_until"])), card)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


@contextmanager
def _locked(log: Path) -> Iterator[None]:
    """Hold the log for one writer; a line that a killed writer left unfinished is cut off first."""
    with log.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if log.is_file() and (text := log.read_bytes()) and not text.endswith(b"\n"):
            with log.open("rb+") as stream:
                stream.truncate(text.rfind(b"\n") + 1)
        yield

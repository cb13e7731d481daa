"""Trained versions below `<root>/models/`, and the log of who was made champion.

A version is a folder that holds everything learned at once, so that its parts always belong together: `ranker/`, and
`space/` (item vectors joined with behaviour) and `gate.safetensors` with `gate.json` where they could be learned. It
has a `card.json`, is named by its content and never changed. `champions.jsonl` is append-only: the champion of a window
is the newest entry whose training data end at or before the window's `as_of`, so a backfill never learns from its
future. Going back is one more entry.
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

from embeddings.failpoints import failpoint
from tideline.run import write_atomically

CARD = "card.json"
LOG = "champions.jsonl"
DECISION = "decision"
"""The entry of a card that does not belong to the content: against whom a version was judged, and how it came out."""


class ModelStoreError(ValueError):
    """A version that is not there; the message says which there are."""


class Version(NamedTuple):
    """Everything that was learned at once."""

    name: str
    """`model-<digest of its content>`"""
    folder: Path
    trained_until: datetime
    """End of the data it learned from, labels included; UTC without a zone."""
    card: dict[str, Any]


def save_version(root: Path, write: Callable[[Path], dict[str, Any]]) -> Version:
    """Store a new version; the same content twice is one version, with the card of the first time.

    Parameters
    ----------
    root
        Home of the source.
    write
        Writes the files into the folder it is given and returns the card, which must hold `trained_until` (ISO 8601,
        UTC). Its entry `decision`, if there is one, does not count for the name.
    """
    folder = _folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
        part = Path(scratch) / "version"
        part.mkdir()
        card = write(part)
        datetime.fromisoformat(card["trained_until"])
        name = _name(part, card)
        write_atomically(part / CARD, _json(card))
        if not (folder / name).exists():
            failpoint("version.rename.before")
            part.rename(folder / name)
            failpoint("version.rename.after")
    return _read(folder / name)


def list_versions(root: Path) -> list[Version]:
    """Return the stored versions by the end of their training data, then by name."""
    found = [_read(file.parent) for file in _folder(root).glob(f"model-*/{CARD}")]
    return sorted(found, key=lambda version: (version.trained_until, version.name))


def damaged_versions(root: Path) -> tuple[int, list[str]]:
    """Return how many versions there are, and the names of those whose content is no longer what its name says."""
    folders = sorted(path for path in _folder(root).glob("model-*") if path.is_dir())
    changed = []
    for folder in folders:
        try:
            whole = _name(folder, json.loads((folder / CARD).read_text())) == folder.name
        except (OSError, ValueError, AttributeError):
            whole = not folder.exists()  # removed as unused meanwhile
        if not whole:
            changed.append(folder.name)
    return len(folders), changed


def list_champions(root: Path) -> list[dict[str, Any]]:
    """Return the entries of the log, oldest first: `version`, `at` (wall clock), `reason`; `before` as in `promote`."""
    log = _folder(root) / LOG
    # A line without its end was being written when its writer was killed.
    lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def promote(root: Path, version: Version, reason: str, before: datetime | None = None) -> None:
    """Make a version the champion from now on.

    Parameters
    ----------
    reason
        For people.
    before
        Only for windows whose `as_of` lies before this instant: what is trained for the past (a backfill) must not
        replace the champion of later windows. None: for all windows that it may know.
    """
    log = _folder(root) / LOG
    entry = {"version": version.name, "at": datetime.now(UTC).isoformat(timespec="seconds"), "reason": reason}
    if before is not None:
        entry["before"] = _naive(before).isoformat()
    failpoint("champion.log.before")
    with _locked(log), log.open("a") as stream:
        stream.write(json.dumps(entry) + "\n")
    failpoint("champion.log.after")


def champion_for(root: Path, as_of: datetime, text_model: str | None = None) -> Version | None:
    """Return the newest champion whose training data end at or before `as_of` (UTC); None if there is none.

    With `text_model`, one that was trained with the texts of this model: vectors of two models are never compared.
    """
    limit = _naive(as_of)
    for entry in reversed(list_champions(root)):
        if "before" in entry and datetime.fromisoformat(entry["before"]) <= limit:
            continue
        folder = _folder(root) / entry["version"]
        if not (folder / CARD).is_file():
            continue
        version = _read(folder)
        if version.trained_until <= limit and text_model in (None, version.card.get("text_model")):
            return version
    return None


def next_champion_from(root: Path, as_of: datetime) -> datetime | None:
    """Return when the earliest champion that knows more than `as_of` was trained until; None if there is none."""
    names = {entry["version"] for entry in list_champions(root)}
    later = [
        version.trained_until
        for version in list_versions(root)
        if version.name in names and version.trained_until > _naive(as_of)
    ]
    return min(later, default=None)


def find_version(root: Path, name: str) -> Version:
    """Return a stored version by its name. Raises `ModelStoreError` if there is none, and says which there are."""
    if not (_folder(root) / name / CARD).is_file():
        stored = ", ".join(version.name for version in list_versions(root)) or "none"
        raise ModelStoreError(f"no version {name!r} is stored; there are: {stored}")
    return _read(_folder(root) / name)


def use_version(root: Path, name: str) -> Version:
    """Make a stored version the champion by its name. Raises `ModelStoreError` if there is none of that name."""
    version = find_version(root, name)
    promote(root, version, "chosen by hand")
    return version


def go_back(root: Path) -> Version:
    """Make the champion before the present one champion again.

    Raises
    ------
    ModelStoreError
        If there was none before it.
    """
    # What was promoted for windows of the past only was never the present champion.
    names = [entry["version"] for entry in list_champions(root) if "before" not in entry]
    earlier = [name for name in names if name != names[-1]]
    if not earlier:
        raise ModelStoreError(f"there is no earlier champion to go back to: {len(set(names))} was champion so far")
    version = find_version(root, earlier[-1])
    promote(root, version, f"back from {names[-1]}")
    return version


def remove_unused(root: Path, keep: int) -> int:
    """Remove versions that never became champion, but the newest `keep` of all; return how many went.

    Runs and manifests name champions only, so none that they name is ever removed.
    """
    champions = {entry["version"] for entry in list_champions(root)}
    rejected = [version for version in list_versions(root)[:-keep] if version.name not in champions]
    for version in rejected:
        shutil.rmtree(version.folder)
    return len(rejected)


def _folder(root: Path) -> Path:
    return root / "models"


def _read(folder: Path) -> Version:
    card = json.loads((folder / CARD).read_text())
    return Version(folder.name, folder, _naive(datetime.fromisoformat(card["trained_until"])), card)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant


def _json(card: dict[str, Any]) -> str:
    return json.dumps(card, indent=2, sort_keys=True, allow_nan=False)


def _name(folder: Path, card: dict[str, Any]) -> str:
    return f"model-{_digest(folder, {key: value for key, value in card.items() if key != DECISION})}"


def _digest(folder: Path, card: dict[str, Any]) -> str:
    digest = hashlib.sha256(_json(card).encode())
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file != folder / CARD:
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

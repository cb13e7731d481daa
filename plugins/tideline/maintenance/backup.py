"""Backup and restore: one consistent set of a home, with a checksum for each file, there and back.

```
<backup>/backup.json      schema version, source, generation, and of each file: bytes, sha256, mode
<backup>/home/...         the files, where they lie in the home
```

A backup holds all that results come from: snapshot, manifests, lake, quarantine and what was decided about it, vectors
and ledger, trained versions and their log, the last night's tables. It lacks the landing files, which upstream has,
Airflow's own database, and run folders, which reruns make again. It holds private rows and the ledger's key: mode 0700.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

from embeddings.home import SCHEMA_VERSION, refuse_newer
from embeddings.settings import Settings
from tideline.maintenance.collecting import BackupError, collect
from tideline.serving.pointer import POINTER, NothingPublishedError, current_snapshot, serving_folder, sync
from tideline.serving.throwaway import throwaway_folder

CARD = "backup.json"
CONTENT = "home"
FORMAT = 1


class RestoreError(RuntimeError):
    """A backup that cannot be restored, or not here; the message says why."""


class Copied(NamedTuple):
    """What a backup or a restore copied."""

    generation: str
    files: int
    bytes: int


def back_up(settings: Settings, target: Path) -> Copied:
    """Copy a consistent set of the home to `target`, while runs and readers go on; it appears there when it is whole.

    Raises
    ------
    BackupError
        If `target` is not empty, lies in the home, or the home lacks something.
    NothingPublishedError
        If there is no current generation.
    """
    target = target.expanduser().resolve()
    if target.is_relative_to(settings.root):
        raise BackupError(f"{target} lies in the home that is to be backed up: choose another disk")
    if not _is_free(target):
        raise BackupError(f"{target} is there already: choose a new folder for each backup")
    if current_snapshot(serving_folder(settings.root)) is None:  # before the locks make folders of a mistyped home
        raise NothingPublishedError(f"nothing is published below {settings.root} yet: there is nothing to back up")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _aside(target, "part")
    try:
        with throwaway_folder(settings.root / ".backup") as gathered:
            collected = collect(settings, gathered)
            files = {name: _copy(gathered / name, part / CONTENT / name) for name in _names(gathered)}
        card = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "source": settings.source,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "generation": collected.generation,
            "pointer": collected.pointer,
            "batches": collected.batches,
            "files": files,
        }
        (part / CARD).write_text(json.dumps(card, indent=1))
        sync(part / CARD)
        _verify(part, files)
        part.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Copied(collected.generation, len(files), sum(file["bytes"] for file in files.values()))


def restore(settings: Settings, origin: Path) -> Copied:
    """Make the home from a backup: every file checked, the home there at once or not at all.

    Raises
    ------
    RestoreError
        If the home is not empty, the backup is of another source, incomplete or damaged.
    HomeError
        If the backup is of a newer Tideline.
    """
    origin, root = origin.expanduser().resolve(), settings.root
    if not _is_free(root):
        raise RestoreError(f"{root} is not empty: name another home (TIDELINE_HOME), or move this one away")
    card = _read_card(origin)
    refuse_newer(int(card["schema_version"]), str(origin))
    if card["source"] != settings.source:
        raise RestoreError(f"{origin} is of source {card['source']}, not {settings.source}: set SOURCE")
    _verify(origin, card["files"])
    root.parent.mkdir(parents=True, exist_ok=True)
    part = _aside(root, "restoring")
    try:
        for name in card["files"]:
            _copy(origin / CONTENT / name, part / name)
        _verify(part, card["files"], below="")
        (serving_folder(part) / POINTER).symlink_to(card["pointer"])
        for private in ("quarantine", "intake"):
            (part / private).mkdir(mode=0o700, exist_ok=True)
            (part / private).chmod(0o700)
        part.rename(root)
        sync(root.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Copied(card["generation"], len(card["files"]), sum(file["bytes"] for file in card["files"].values()))


def _read_card(origin: Path) -> dict[str, Any]:
    try:
        card = json.loads((origin / CARD).read_text())
        if card["format"] == FORMAT:
            return dict(card)
    except FileNotFoundError:
        raise RestoreError(f"{origin} is no backup: it has no {CARD}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RestoreError(f"{origin / CARD} is damaged: take another backup") from error
    raise RestoreError(f"{origin} has format {card['format']}, this Tideline reads {FORMAT}")


def _copy(file: Path, target: Path) -> dict[str, Any]:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy2(file, target)
    sync(target)
    with file.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _verify(folder: Path, files: Mapping[str, Mapping[str, Any]], below: str = CONTENT) -> None:
    """Compare every file of a copy with its checksum."""
    for name, told in files.items():
        file = folder / below / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise RestoreError(f"{folder} names a file outside of itself, {name}: it is no backup of ours")
        if not file.is_file():
            raise RestoreError(f"{folder} lacks {name}: the backup is incomplete, take another one")
        with file.open("rb") as stream:
            if file_digest(stream, "sha256").hexdigest() != told["sha256"]:
                raise RestoreError(f"{name} in {folder} is damaged: take another backup")


def _names(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _aside(target: Path, ending: str) -> Path:
    """Make a private folder beside the target, on the same disk."""
    part = target.with_name(f".{target.name}.{os.getpid()}.{ending}")
    part.mkdir(mode=0o700)
    return part

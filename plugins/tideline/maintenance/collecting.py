"""What belongs into a backup, gathered as hard links in the moment in which it fits together.

Everything here is immutable once it has its name, but for a few small files, which are copied. The locks of those who
remove files are held for as long as linking takes: seconds. Copying then takes its time, and nobody waits for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from embeddings.home import HOME_FILE
from embeddings.settings import Settings
from embeddings.table_files import link_file, link_generation, link_latest, model_folder
from tideline.intake import quarantine
from tideline.intake.compaction import lake_lock
from tideline.intake.lake import lake, list_units, place_batches
from tideline.models import LOG
from tideline.serving.lock import exclusive
from tideline.serving.manifest import Manifest, read_manifest
from tideline.serving.pointer import NothingPublishedError, Snapshot, current_snapshot, serving_folder

RUN_PARTS = ("tables", "vectors", "knowledge", "run.json", "published.json", "stages.jsonl", "faithfulness.json")
"""Of a night's folder, what its hours read, and what says that it has ended."""
SMALL = (HOME_FILE, "ledger.key", "serving/fence", f"models/{LOG}")
"""Files that change: copied while it is sure that nobody is about to commit."""


class BackupError(RuntimeError):
    """A home that cannot be backed up as it is; the message says what to do."""


class Collected(NamedTuple):
    """What was gathered."""

    generation: str
    pointer: str
    """Name of the current snapshot."""
    batches: int


def collect(settings: Settings, folder: Path) -> Collected:
    """Gather a consistent set of a home below `folder`, which is on the home's own disk.

    Raises
    ------
    NothingPublishedError
        If there is no current generation.
    BackupError
        If what it was built from is not all there.
    """
    root = settings.root
    with _everything_held(settings):
        current = current_snapshot(serving_folder(root))
        if current is None:
            raise NothingPublishedError(f"nothing is published below {root} yet: there is nothing to back up")
        entry = read_manifest(current.generation, root)
        if entry is None:
            raise BackupError(f"{current.path.name} has no manifest: publish again (`make run`), then back up")
        _link_published(root, folder, current)
        batches = place_batches(list_units(root))
        for path in sorted({unit.folder for unit in batches.values()}):
            _link(path, root, folder)
        if missing := set(entry.batches) - set(batches):
            raise BackupError(f"{len(missing)} batches of {entry.generation} are not in {lake(root)}: restore it first")
        _link(root / "quarantine", root, folder)
        for version in sorted((root / "models").glob("model-*")):
            _link(version, root, folder)
        _link(root / "evaluation", root, folder)
        _link_vectors(settings, folder, entry)
        _link_night(root, folder, entry)
        for name in SMALL:
            if (root / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
    return Collected(current.generation, current.path.name, len(batches))


@contextmanager
def _everything_held(settings: Settings) -> Iterator[None]:
    who = "backup"
    with ExitStack() as stack:
        stack.enter_context(lake_lock(settings.root, who))
        stack.enter_context(exclusive(quarantine.folder(settings.root) / "lock", who))
        serving = serving_folder(settings.root)
        serving.mkdir(parents=True, exist_ok=True)
        stack.enter_context(exclusive(serving / "lock", who))
        yield


def _link_published(root: Path, folder: Path, current: Snapshot) -> None:
    _link(current.path, root, folder)
    _link(serving_folder(root) / "shown", root, folder)
    # Manifests are replaced, never written in place: a link keeps what is there now.
    _link(serving_folder(root) / "generations", root, folder)


def _link_vectors(settings: Settings, folder: Path, entry: Manifest) -> None:
    """Link the published vectors as the generation has them, and the ledgers as they are."""
    if entry.vectors:
        model, tag = str(entry.vectors["model"]), str(entry.vectors["tag"])
        place = model_folder(settings, model).relative_to(settings.root)
        link_generation(settings, model, tag, folder / place, tagged=True)
    for table in sorted((settings.root / "vectors").glob("[!.]*/text_vectors.lance")):
        link_latest(table, folder / table.relative_to(settings.root))


def _link_night(root: Path, folder: Path, entry: Manifest) -> None:
    """Link what the next hours read of the night that the generation rests on."""
    night = read_manifest(entry.layers["nightly"], root) if entry.layers["nightly"] else None
    if night is not None:
        for part in RUN_PARTS:
            _link(root / "runs" / night.run_id / part, root, folder)


def _link(path: Path, root: Path, folder: Path) -> None:
    """Link a file, or all files of a folder that are complete, at the same place below `folder`."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        name = file.relative_to(root)
        if not any(part.startswith(".") for part in name.parts) and name.name != "lock":
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            link_file(file, target)

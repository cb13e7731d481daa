"""What is kept of the past: the last few snapshots, and the run folders that they and the runs in progress need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embeddings.failpoints import failpoint
from embeddings.settings import Settings
from tideline.run import RUN_ID
from tideline.serving.leftovers import sweep
from tideline.serving.manifest import Manifest, list_manifests
from tideline.serving.pointer import current_snapshot, list_snapshots, serving_folder
from tideline.serving.shown import forget_shown
from tideline.serving.vectors import forget_vectors

MARKER = "published.json"
"""Written into a run's folder when its publication ended. Without it, and without a manifest, a run is in progress."""
ACTIVE = timedelta(days=1)
"""No stage takes that long: a run in which nothing happened since is not at work."""


def clean_up(settings: Settings, run_id: str) -> list[str]:
    """Delete old snapshots and run folders, under the publishers' lock; return the names of what was deleted.

    Kept are the current snapshot and the newest `keep_generations` others; the runs that built a kept generation or a
    layer of the current one; every run that has not ended, and `run_id`; and the base of each of these. What a
    generation showed is kept for `keep_shown_days` before the current one, and as long as its snapshot. Nothing whose
    name is not ours is ever deleted. A reader that has a deleted snapshot open goes on reading it.
    """
    root = settings.root
    serving = serving_folder(root)
    current = current_snapshot(serving)
    others = [snapshot for snapshot in list_snapshots(serving) if current is None or snapshot.path != current.path]
    doomed, kept = others[: -settings.keep_generations], others[-settings.keep_generations :]
    manifests = {entry.generation: entry for entry in list_manifests(root)}
    generations = {snapshot.generation for snapshot in kept}
    if current:
        generations |= {current.generation, *_layers(manifests.get(current.generation))}
    deleted = []
    for snapshot in doomed:
        failpoint("cleanup.snapshot.before")
        snapshot.path.unlink()
        failpoint("cleanup.snapshot.after")
        deleted.append(snapshot.path.name)
    if doomed:
        failpoint("cleanup.vectors.before")
        forget_vectors(settings, manifests.values(), [*kept, *([current] if current else [])])
        failpoint("cleanup.vectors.after")
    wanted = {entry.run_id for name, entry in manifests.items() if name in generations} | {run_id}
    ended = {entry.run_id for entry in manifests.values()}
    if current:
        deleted += forget_shown(root, current.generation, generations, settings.keep_shown_days)
    for folder in _removable(root, wanted, ended):
        failpoint("cleanup.run.before")
        shutil.rmtree(folder, ignore_errors=True)
        failpoint("cleanup.run.after")
        deleted.append(folder.name)
    return deleted + sweep(root)


def runs_in_progress(root: Path) -> dict[str, Path]:
    """Return the folders of the runs that were opened and have not ended, by run id."""
    ended = {entry.run_id for entry in list_manifests(root)}
    return {name: path for name, path in _run_folders(root).items() if not _has_ended(name, path, ended)}


def pins_in_use(root: Path, now: datetime) -> list[datetime]:
    """Return when each run that may just be at work pinned its inputs: it has not ended, and was active within a day.

    A run that failed stays in progress for days, and must not hold anything up: whoever takes it up again in the
    middle finds its inputs where they are then.
    """
    return [
        datetime.fromtimestamp(pinned.stat().st_mtime, UTC)
        for folder in runs_in_progress(root).values()
        if (pinned := folder / "run.json").exists() and _last_active(folder) > (now - ACTIVE).timestamp()
    ]


def forget_abandoned(root: Path, before: datetime) -> list[str]:
    """Delete the folders of runs that never ended and in which nothing has happened since `before`; return their names.

    A run that failed for good, or whose machine went away, is told from one in progress by nothing else.
    """
    deleted = []
    for name, folder in runs_in_progress(root).items():
        if _last_active(folder) < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
            deleted.append(name)
    return deleted


def _last_active(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.glob("*")))


def _layers(entry: Manifest | None) -> set[str]:
    return {entry.layers["nightly"], *entry.layers["hours"]} - {None} if entry else set()


def _run_folders(root: Path) -> dict[str, Path]:
    return {
        path.name: path
        for path in sorted((root / "runs").glob("*"))
        if RUN_ID.match(path.name) and path.is_dir() and not path.is_symlink()
    }


def _has_ended(name: str, folder: Path, ended: Collection[str]) -> bool:
    return name in ended or (folder / MARKER).exists()


def _removable(root: Path, wanted: set[str], ended: set[str]) -> list[Path]:
    folders = _run_folders(root)
    in_progress = {name for name, path in folders.items() if not _has_ended(name, path, ended)}
    kept = wanted | in_progress
    bases = {_base(folders[name]) for name in kept if name in folders}
    return [path for name, path in folders.items() if name not in kept | bases]


def _base(folder: Path) -> str | None:
    try:
        base = json.loads((folder / "run.json").read_text())["base"]
    except (OSError, ValueError, KeyError):
        return None  # a run that is being opened right now
    return str(base) if base else None

"""What is left of old generations, so that history does not grow with the square of its length.

A manifest lists every batch that its run pinned: a thousand hours list a thousand batches each. Once a generation's
snapshot is gone, only one question is asked of the list: which batches had been used before some `as_of`. `used.json`
answers it with one line a batch, for good; the lists go, then the figures of old hours, and at last the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from embeddings.settings import Settings
from tideline.run import write_atomically
from tideline.serving.manifest import Manifest, list_manifests, manifest_file, read_manifest, write_manifest
from tideline.serving.pointer import current_snapshot, list_snapshots, serving_folder

USED = "used.json"
HOUR_FIGURES = timedelta(days=30)
"""How long the stages and metrics of an hour are kept. Those of a night are kept with its manifest."""


class Folded(NamedTuple):
    """What a folding did."""

    lists: int
    figures: int
    manifests: int


def used_batches(root: Path, before: datetime) -> frozenset[str] | None:
    """Return the batches that runs of an earlier `as_of` than `before` brought to readers; None if there was none."""
    earlier = [entry for entry in list_manifests(root) if entry.applied and entry.as_of < before]
    folded = [batch for batch, as_of in _read(root).items() if datetime.fromisoformat(as_of) < before]
    if not earlier and not folded:
        return None
    return frozenset(folded).union(*(entry.batches for entry in earlier))


def fold_manifests(settings: Settings, now: datetime) -> Folded:
    """Shorten the manifests of generations without a snapshot, and delete the old ones. Call it under the lock.

    `used.json` is written first: a process killed in between leaves an answer that is right, if twice.
    """
    root = settings.root
    serving = serving_folder(root)
    kept = {snapshot.generation for snapshot in list_snapshots(serving)}
    current = current_snapshot(serving)
    if current and (entry := read_manifest(current.generation, root)):
        kept |= {name for name in (entry.layers["nightly"], *entry.layers["hours"]) if name}
    # What was `same_as` another has its snapshot.
    past = [entry for entry in list_manifests(root) if entry.generation not in kept and entry.same_as not in kept]
    listed = [entry for entry in past if entry.batches]
    _write(root, [entry for entry in listed if entry.applied])
    aged = {entry.generation: now - datetime.fromisoformat(entry.committed_at).astimezone(UTC) for entry in past}
    figures = manifests = 0
    for entry in past:
        if aged[entry.generation] > timedelta(days=settings.keep_history_days):
            manifest_file(entry.generation, root).unlink()
            manifests += 1
            continue
        shorter = entry
        if entry.batches:
            shorter = replace(entry, batches=(), folded_batches=len(entry.batches))
        if entry.kind == "hourly" and (entry.stages or entry.metrics) and aged[entry.generation] > HOUR_FIGURES:
            shorter = replace(shorter, stages=(), metrics=())
            figures += 1
        if shorter is not entry:
            write_manifest(shorter, root)
    return Folded(len(listed), figures, manifests)


def _write(root: Path, entries: Iterable[Manifest]) -> None:
    used = _read(root)
    for entry in entries:
        for batch in entry.batches:
            used[batch] = min(used.get(batch, entry.as_of.isoformat()), entry.as_of.isoformat())
    if used:
        write_atomically(_file(root), json.dumps(used, indent=0, sort_keys=True))


def _read(root: Path) -> dict[str, str]:
    file = _file(root)
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _file(root: Path) -> Path:
    return serving_folder(root) / "generations" / USED

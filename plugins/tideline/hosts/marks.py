"""Of every run in the store its marks, so that retention judges the same runs on every host."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tideline.hosts.groups import RUN_STAGES
from tideline.hosts.trees import entries_of, lay_out
from tideline.serving.retention import MARKER

if TYPE_CHECKING:
    from tideline.hosts.workplace import Place

MARKS = ("run.json", MARKER)


def fetch_marks(place: Place) -> list[str]:
    """Lay out `run.json` and the marker of every run, in folders as old as their last ref; return the runs' names."""
    runs: dict[str, dict[str, float]] = {}
    for found in place.objects.list_refs("runs"):
        _, name, stage = found.name.split("/", 2)
        runs.setdefault(name, {})[stage] = found.modified.timestamp()
    for name, stages in runs.items():
        folder = place.settings.root / "runs" / name
        if (folder / "run.json").exists():
            continue  # the run at work, or its base
        last = next((stage for stage in reversed(RUN_STAGES) if stage in stages), None)
        ref = last and place.objects.read_ref(f"runs/{name}/{last}")
        if ref:
            wanted = {f"runs/{name}/{mark}" for mark in MARKS}
            entries = entries_of(ref.values["files"])
            lay_out(
                {path: entry for path, entry in entries.items() if path in wanted}, place.settings.root, place.cache
            )
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder, (max(stages.values()),) * 2)
    return list(runs)


def delete_gone(runs: Iterable[str], place: Place) -> None:
    """Delete the refs of the runs whose folder is gone from the place."""
    for name in runs:
        if not (place.settings.root / "runs" / name).exists():
            place.objects.delete_refs(found.name for found in place.objects.list_refs(f"runs/{name}"))

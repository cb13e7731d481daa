"""Retention: what is older than the settings say goes, and what is still needed stays whatever its age.

Publishing keeps the last few snapshots and run folders (`serving.retention`). This is for what grows beside them.
The lake itself is never shortened: that somebody has once been a user is known from nowhere else.
"""

from __future__ import annotations

import json
import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embeddings.settings import Settings
from tideline.intake import quarantine
from tideline.intake.lake import list_batches
from tideline.models import list_champions, list_versions
from tideline.run import RUN_ID
from tideline.serving.folding import fold_manifests
from tideline.serving.lock import exclusive
from tideline.serving.manifest import list_manifests
from tideline.serving.pointer import serving_folder
from tideline.serving.retention import forget_abandoned

log = logging.getLogger(__name__)


def forget(settings: Settings, now: datetime) -> dict[str, int]:
    """Delete what is too old, under the locks of those who write it.

    Returns
    -------
    dict
        How many went: `abandoned_runs`, `folded_lists`, `manifests`, `models`, `data_docs`, `quarantine_files`,
        `landing_files`, `parsed_projects`.
    """
    root = settings.root
    logs_before = now - timedelta(days=settings.keep_log_days)
    serving = serving_folder(root)
    serving.mkdir(parents=True, exist_ok=True)
    with exclusive(serving / "lock", "retention"):
        abandoned = forget_abandoned(root, now - timedelta(days=settings.keep_failed_days))
        folded = fold_manifests(settings, now)
        models = _forget_models(settings, now - timedelta(days=settings.keep_model_days))
    return {
        "abandoned_runs": len(abandoned),
        "folded_lists": folded.lists,
        "manifests": folded.manifests,
        "models": models,
        "data_docs": _forget_data_docs(root, logs_before),
        "quarantine_files": _forget_quarantined(settings, now),
        "landing_files": _forget_landed(settings, now),
        "parsed_projects": _forget_folders(root / "cache" / "dbt", logs_before),
    }


def _forget_models(settings: Settings, before: datetime) -> int:
    """Delete versions stored before then that no kept generation, no run folder and no recent champion names."""
    root = settings.root
    serving = serving_folder(root)
    needed = {entry.model for entry in list_manifests(root) if (serving / entry.snapshot).exists()}
    needed |= {_model_of(file) for file in (root / "runs").glob("*/run.json")}
    champions = [entry["version"] for entry in list_champions(root)]
    needed |= set(list(dict.fromkeys(reversed(champions)))[: settings.keep_generations])
    old = [v for v in list_versions(root) if v.name not in needed and v.folder.stat().st_mtime < before.timestamp()]
    for version in old:
        shutil.rmtree(version.folder)
    return len(old)


def _model_of(file: Path) -> str | None:
    try:
        model = json.loads(file.read_text()).get("model")
    except (FileNotFoundError, ValueError):
        return None
    return str(model) if model else None


def _forget_data_docs(root: Path, before: datetime) -> int:
    """Delete the Data Docs of runs whose folder is gone."""
    kept = {path.name for path in (root / "runs").glob("*")}
    old = [
        path
        for path in (root / "data_docs").glob("*")
        if RUN_ID.match(path.name) and path.name not in kept and path.stat().st_mtime < before.timestamp()
    ]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def _forget_quarantined(settings: Settings, now: datetime) -> int:
    """Delete the raw rows of batches that landed too long ago. `expired.jsonl` gets a line for each first."""
    root = settings.root
    before = now - timedelta(days=settings.keep_quarantined_days)
    folder = quarantine.folder(root)
    with exclusive(folder / "lock", "retention"):
        old = [
            (file, batch)
            for batch in list_batches(root)
            if datetime.fromisoformat(batch["landed_at"]) < before
            and (file := folder / f"{batch['batch_id']}.parquet").exists()
        ]
        with (folder / quarantine.EXPIRED).open("a") as stream:
            for _, batch in old:
                told = {name: batch[name] for name in ("batch_id", "file", "landed_at", "reasons")}
                stream.write(json.dumps({**told, "expired_at": now.astimezone(UTC).isoformat()}) + "\n")
        (folder / quarantine.EXPIRED).chmod(0o600)
        for file, _ in old:
            file.unlink()
    return len(old)


def _forget_landed(settings: Settings, now: datetime) -> int:
    """Delete landing files whose content is in the lake, where the settings say that this is wanted."""
    if settings.keep_landing_days is None:
        return 0
    before = (now - timedelta(days=settings.keep_landing_days)).timestamp()
    deleted = 0
    for batch in list_batches(settings.root):
        file = settings.landing_path / batch["file"]
        if batch["kind"] != "file" or batch["unreadable"] or not file.is_file():
            continue
        stat = file.stat()
        same = (stat.st_size, stat.st_mtime_ns) == (batch["bytes"], batch["mtime_ns"])
        # An unreadable file is nowhere else.
        if same and datetime.fromisoformat(batch["landed_at"]).timestamp() < before:
            file.unlink()
            deleted += 1
    return deleted


def _forget_folders(parent: Path, before: datetime) -> int:
    """Delete folders in which no file has changed since then."""
    old = [
        folder
        for folder in parent.glob("*")
        if folder.is_dir() and max(path.stat().st_mtime for path in (folder, *folder.rglob("*"))) < before.timestamp()
    ]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)

"""A home of an earlier layout becomes one of the present layout, in place, before anything else is done with it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from embeddings.home import HOME_FILE, SCHEMA_VERSION, check_home
from embeddings.settings import Settings
from tideline.run import write_atomically
from tideline.serving.lock import exclusive
from tideline.serving.manifest import list_manifests, write_manifest
from tideline.serving.pointer import serving_folder

log = logging.getLogger(__name__)


def open_home(settings: Settings, *, create: bool = False) -> None:
    """Make sure that the home has the present layout: upgrade an earlier one, refuse a newer one.

    A home that does not exist yet is left alone, unless `create`. From version 1 and 2 nothing moves: their manifests
    get the fields that came later, and the home says its version, so that an older Tideline, which knows no packs,
    refuses it instead of missing batches. Killed in between, it is done again from the start.

    Raises
    ------
    HomeError, SnapshotError
        If the home, or a manifest, is of a newer Tideline or damaged.
    """
    root = settings.root
    if check_home(root) == SCHEMA_VERSION or not (create or _is_home(root)):
        return
    serving = serving_folder(root)
    serving.mkdir(parents=True, exist_ok=True)
    with exclusive(serving / "lock", "upgrade of the home"):
        if check_home(root) == SCHEMA_VERSION:
            return
        manifests = list_manifests(root)
        for entry in manifests:
            write_manifest(entry, root)
        write_atomically(root / HOME_FILE, json.dumps({"schema_version": SCHEMA_VERSION}) + "\n")
    if manifests:
        log.info("%s has schema version %d now: %d manifests upgraded", root, SCHEMA_VERSION, len(manifests))


def _is_home(root: Path) -> bool:
    return (root / "lake").exists() or (root / "serving" / "generations").exists()

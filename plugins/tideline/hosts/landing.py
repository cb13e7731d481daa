"""Landing files in the store: those below `landing/` that are in no batch yet are brought to the place of an intake."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from embeddings.settings import Settings
from tideline.hosts.objects import Found, Objects
from tideline.hosts.trees import AT_A_TIME
from tideline.intake import list_batches

PREFIX = "landing"


def fetch_landing(settings: Settings, objects: Objects) -> int:
    """Download the landing files that no batch knows by name, bytes and time of change; return how many."""
    folder = settings.landing_path
    folder.mkdir(parents=True, exist_ok=True)
    known = {(batch["file"], batch["bytes"], batch["mtime_ns"]) for batch in list_batches(settings.root)}
    new = [found for found in objects.list_all(PREFIX) if (_name(found), found.size, _mtime_ns(found)) not in known]

    def bring(found: Found) -> None:
        path = PurePosixPath(_name(found))
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"the landing object {found.name!r} would leave the landing folder: rename it")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            objects.get_file(found.name, stream.write)
        os.utime(file, ns=(_mtime_ns(found), _mtime_ns(found)))

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(bring, new))
    return len(new)


def _name(found: Found) -> str:
    return found.name.removeprefix(f"{PREFIX}/")


def _mtime_ns(found: Found) -> int:
    return int(found.modified.timestamp() * 1_000_000) * 1000

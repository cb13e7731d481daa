"""Shared groups: read from the store into a working folder, and written back where a stage has changed them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tideline.hosts.groups import Group
from tideline.hosts.objects import ConflictError, Found, Objects, Ref
from tideline.hosts.trees import AT_A_TIME, Cache, Laid, entries_of, gather, lay_out
from tideline.run import write_atomically


class Fetched(NamedTuple):
    """A group as it was read."""

    group: Group
    refs: dict[str, Ref]
    laid: Laid


def fetch(
    group: Group,
    root: Path,
    objects: Objects,
    cache: Cache,
    left_out: Callable[[str], bool] = lambda path: False,
    empty: Callable[[str], bool] = lambda path: False,
    only: Callable[[str], bool] = lambda name: True,
) -> Fetched:
    """Lay a group out below a root; of a group of units, those of which `only` says so by the name of the ref."""
    refs = _read_one(group, objects) if group.unit is None else _read_units(group, objects, cache, only)
    entries = {path: entry for ref in refs.values() for path, entry in entries_of(ref.values["files"]).items()}
    return Fetched(group, refs, lay_out(entries, root, cache, left_out, empty))


def _read_one(group: Group, objects: Objects) -> dict[str, Ref]:
    ref = objects.read_ref(group.name)
    return {group.name: ref} if ref else {}


def _read_units(group: Group, objects: Objects, cache: Cache, only: Callable[[str], bool]) -> dict[str, Ref]:
    """Read the refs of units, those that were read before from this worker's disk: they are written once."""
    listed = [found for found in objects.list_refs(group.name) if only(found.name)]

    def read(found: Found) -> Ref | None:
        kept = cache.folder / f"ref_{found.name.replace('/', '_')}_{found.etag.strip(chr(34))}.json"
        if kept.exists():
            return Ref(json.loads(kept.read_text()), found.etag)
        ref = objects.read_ref(found.name)
        if ref:
            write_atomically(kept, json.dumps(ref.values))
        return ref

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        # A unit that was listed may be gone by now: its content is in a pack, or committed.
        return {found.name: ref for found, ref in zip(listed, pool.map(read, listed), strict=True) if ref}


def push(fetched: Fetched, root: Path, objects: Objects, cache: Cache, **more: Any) -> bool:
    """Write a group back: what is new or changed, and what is gone; return whether anything was.

    Raises
    ------
    ConflictError
        If another worker has written it meanwhile. Units that were written by then stay: they are whole.
    """
    group = fetched.group
    entries = gather(group.files(root), root, fetched.laid, cache)
    refs: dict[str, dict[str, Any]] = {}
    for path, entry in entries.items():
        refs.setdefault(group.ref_of(path), {})[path] = list(entry)
    changed = False
    lost = None
    for name, files in refs.items():
        before = fetched.refs.get(name)
        if before is None or before.values["files"] != files:
            changed = True
            try:
                objects.write_ref(name, {"files": files, **more}, before)
            except ConflictError as error:
                lost = error  # the other units are ours, whatever becomes of this one
    if lost:
        raise lost
    if group.unit is not None:
        gone = [name for name in fetched.refs if name not in refs]
        objects.delete_refs(gone)
        changed = changed or bool(gone)
    return changed

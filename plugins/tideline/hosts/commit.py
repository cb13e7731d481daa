"""The one commit point of many hosts: a row in Postgres is locked, what is published is read, changed, written back.

The write names what was read, so that a publisher whose lock was lost, and who does not know it yet, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from embeddings.settings import Settings
from tideline.hosts.groups import SERVING
from tideline.hosts.marks import delete_gone, fetch_marks
from tideline.hosts.row_lock import row_lock
from tideline.hosts.shared import fetch, push
from tideline.hosts.trees import POINTS, Cache, Entry, entries_of, is_snapshot
from tideline.hosts.workplace import Place, present_place
from tideline.serving.lock import Lease
from tideline.serving.pointer import POINTER, current_snapshot, serving_folder
from tideline.serving.upgrade import open_home


@contextmanager
def hold_commit(settings: Settings, holder: str) -> Iterator[Lease]:
    """Hold the right to publish; what is published lies in the present place then, and is committed at the end.

    Raises
    ------
    LockTimeoutError, FencedError
        As `row_lock`.
    ConflictError
        If somebody else has committed meanwhile: nothing of this is published.
    """
    place = present_place()
    with row_lock(settings, holder) as lease:
        runs = fetch_published(place)
        yield lease
        push_published(place, lease)
        delete_gone(runs, place)


def fetch_published(place: Place) -> list[str]:
    """Lay out everything that is published, of old snapshots the names alone; return the names of the kept runs."""
    root, earlier = place.settings.root, place.groups.get(SERVING.name)
    for path in earlier.laid if earlier else ():
        (root / path).unlink(missing_ok=True)  # as it was before the lock
    present = present_snapshot(place)

    def is_old(path: str) -> bool:
        return is_snapshot(path) and path != present

    place.groups[SERVING.name] = fetch(SERVING, root, place.objects, place.cache, empty=is_old)
    open_home(place.settings, create=True)
    return fetch_marks(place)


def push_published(place: Place, lease: Lease | None = None) -> None:
    """Commit what is in the place now, in one write."""
    current = current_snapshot(serving_folder(place.settings.root))
    more: dict[str, object] = {}
    if current:
        url = f"{place.settings.store}/{place.settings.source}/serving/{current.path.name}"
        more = {"snapshot": url, "generation": current.generation, "fence": current.fence}
    if lease:
        lease.check()
    push(place.groups[SERVING.name], place.settings.root, place.objects, place.cache, **more)


def fetch_ahead() -> int:
    """Bring the current snapshot to this worker, where its publication may find it; return its bytes."""
    place = present_place()
    ref = place.objects.read_ref(SERVING.name)
    path = present_snapshot(place)
    if ref is None or path is None:
        return 0
    entry: Entry = entries_of(ref.values["files"])[path]
    cache: Cache = place.cache
    return cache.fetch(entry).stat().st_size


def present_snapshot(place: Place) -> str | None:
    """Return the path of the current snapshot, None where nothing was published."""
    ref = place.objects.read_ref(SERVING.name)
    pointer = ref and ref.values["files"].get(f"serving/{POINTER}")
    return f"serving/{str(pointer[0]).removeprefix(POINTS)}" if pointer else None

"""Where a stage works: in the home itself; where there is a store, in a folder of its own that goes when it ends."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from embeddings.settings import Settings, load_settings

if TYPE_CHECKING:
    from tideline.hosts.groups import Group
    from tideline.hosts.objects import Objects
    from tideline.hosts.run_folder import RunFolder
    from tideline.hosts.shared import Fetched
    from tideline.hosts.trees import Cache

log = logging.getLogger(__name__)
T = TypeVar("T")
TRIES = 5


class Place(NamedTuple):
    """A working folder, made like a home, and what was laid out in it."""

    settings: Settings
    """Those of the worker, with the folder as `home`."""
    objects: Objects
    cache: Cache
    groups: dict[str, Fetched]


_present: ContextVar[Place] = ContextVar("place")


def work_on(settings: Settings, run_id: str, stage: str, work: Callable[[Settings], T], part: str | None = None) -> T:
    """Do the work of a stage with the settings of the place where it finds what the stages before it left.

    With a store, what it needs is fetched before and what it wrote is pushed after. If another worker has changed
    something shared meanwhile, it is done again from what is there now. A stage that fails leaves nothing, but what the
    gates wrote.

    Parameters
    ----------
    work
        May be called again. Takes settings whose `home` is the place.
    part
        Of a stage that several workers do at a time.

    Raises
    ------
    ConflictError
        If others were first several times in a row. Else what `work` raises.
    """
    if settings.store is None:
        return work(settings)
    return repeat_on_conflict(stage, lambda: _work_apart(settings, run_id, stage, work, part))


def repeat_on_conflict(what: str, work: Callable[[], T]) -> T:
    """Do something again from what is in the store now, if another worker was first."""
    from tideline.hosts.objects import ConflictError

    for _ in range(TRIES - 1):
        try:
            return work()
        except ConflictError as conflict:
            log.info("%s: %s again", conflict, what)
    return work()


def present_place() -> Place:
    """Return the place in which the present stage works."""
    return _present.get()


@contextmanager
def open_place(settings: Settings, what: str) -> Iterator[Place]:
    """Make a working folder; what dbt keeps from one run to the next, and the store's files, are the worker's own."""
    from tideline.hosts.objects import open_objects
    from tideline.hosts.trees import Cache

    own = settings.root / "work"
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    (settings.root / "cache").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=own, prefix=f"{what}-"))
    (folder / "cache").symlink_to(settings.root / "cache")
    # A landing folder that was named is where it is; else its files come from the store.
    named = {"landing": settings.landing_path} if settings.landing else {}
    objects = open_objects(settings)
    cache = Cache(settings.root / "cache" / "objects", objects)
    place = Place(load_settings(home=folder, **named), objects, cache, {})
    token = _present.set(place)
    try:
        yield place
        cache.prune()
    finally:
        _present.reset(token)
        shutil.rmtree(folder, ignore_errors=True)


def _work_apart(settings: Settings, run_id: str, stage: str, work: Callable[[Settings], T], part: str | None) -> T:
    from tideline.hosts.groups import COPY, READS, WRITES
    from tideline.hosts.run_folder import fetch_base, fetch_run, move_views, push_docs, push_run
    from tideline.hosts.shared import push

    with open_place(settings, stage) as place:
        root, objects, cache = place.settings.root, place.objects, place.cache
        run = fetch_run(run_id, stage, part, root, objects, cache)
        for group in READS[stage]:
            place.groups[group.name] = _fetch(group, run, place)
        fetch_base(run, place.settings, objects, cache)
        move_views(run, root)
        if stage == "take_in" and settings.landing is None:
            from tideline.hosts.landing import fetch_landing

            fetch_landing(place.settings, objects)
        try:
            result = work(place.settings)
        except Exception:
            push_docs(run, root, objects, cache)
            raise
        for group in WRITES.get(stage, ()):
            push(place.groups[group.name], root, objects, cache)
        if stage != COPY:
            push_run(run, root, objects, cache)
        return result


def _fetch(group: Group, run: RunFolder, place: Place) -> Fetched:
    from tideline.hosts.groups import EMBED, SERVING, is_published
    from tideline.hosts.shared import fetch

    arguments = (group, place.settings.root, place.objects, place.cache)
    if group is SERVING:
        return fetch(*arguments, left_out=is_published)
    if run.stage == EMBED:
        return fetch(*arguments, only=lambda name: name.endswith(f"/{run.part}"))
    if run.stage == "collect_vectors":
        return fetch(*arguments, only=lambda name: name.rsplit("/", 1)[-1] in run.parts)
    return fetch(*arguments)

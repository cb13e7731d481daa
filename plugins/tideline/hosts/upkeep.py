"""Maintenance where there is a store: the tasks see a whole home, and what they change or delete is written back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from embeddings.settings import Settings
from tideline.hosts.commit import fetch_published, push_published
from tideline.hosts.groups import IN_ORDER, SERVING
from tideline.hosts.marks import delete_gone
from tideline.hosts.objects import Objects
from tideline.hosts.shared import fetch, push
from tideline.hosts.trees import Cache
from tideline.hosts.workplace import open_place, repeat_on_conflict

log = logging.getLogger(__name__)
T = TypeVar("T")
SCRUB, FORGET = "scrub", "forget"
SPARED_SECONDS = 24 * 3600.0
"""Content that no ref lists is spared for so long: a stage uploads first, and writes its ref when it ends."""


def maintain_store(settings: Settings, task: str, work: Callable[[Settings], T]) -> T:
    """Do a task of the maintenance on what is in the store.

    The scrub reads every object anew, and compares each with its hash; it changes nothing. After `forget`, content that
    no ref lists goes.

    Raises
    ------
    ConflictError
        If others were first several times in a row. Else what `work` raises.
    """

    def attempt() -> T:
        with open_place(settings, task) as place:
            root = place.settings.root
            if task == SCRUB:
                place = place._replace(cache=Cache(root / "scrubbed", place.objects))
                for group in IN_ORDER:
                    fetch(group, root, place.objects, place.cache)
                return work(place.settings)
            for group in IN_ORDER:
                if group is not SERVING:
                    place.groups[group.name] = fetch(group, root, place.objects, place.cache)
            runs = fetch_published(place)
            done = work(place.settings)
            for group in IN_ORDER:
                if group is not SERVING:
                    push(place.groups[group.name], root, place.objects, place.cache)
            push_published(place)
            delete_gone(runs, place)
            if task == FORGET:
                log.info("%d objects that no ref lists are deleted", collect_garbage(place.objects))
            return done

    return repeat_on_conflict(f"maintenance, {task}", attempt)


def collect_garbage(objects: Objects, older_than: float = SPARED_SECONDS) -> int:
    """Delete the content that no ref lists and that was written before so many seconds; return how many objects."""
    before = time.time() - older_than
    # Content is listed first: what a ref lists that is written meanwhile is newer, or was made newer.
    content = [*objects.list_all("blobs"), *objects.list_all("serving")]
    listed = set()
    for found in objects.list_refs(""):
        ref = objects.read_ref(found.name)
        listed |= {str(entry[0]) for entry in ref.values["files"].values()} if ref else set()
    old = [found.name for found in content if found.modified.timestamp() < before and found.name not in listed]
    objects.delete(old)
    return len(old)

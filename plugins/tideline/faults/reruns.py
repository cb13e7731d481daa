"""Windows that are run again, in or out of order, and everything computed anew from the landing files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tideline.faults.ground import END, Ground, copy_home, walked
from tideline.faults.look import NEW
from tideline.faults.outcome import Try
from tideline.serving.manifest import list_manifests

FAMILY = "run again"
ORDERS = (
    ("second hour",),
    ("night", "hour", "second hour", "third hour"),
    ("third hour", "hour", "night", "second hour"),
)
ANEW = ("night", "hour", "second hour", "third hour", "late night")


def plan(_: Any) -> Iterator[Try]:
    """Yield the tries."""
    for order in ORDERS:
        what = f"{len(order)} windows are run again" if len(order) > 1 else "one window is run again"
        yield Try(FAMILY, what, ", ".join(order), partial(_again, order=order))
    yield Try(FAMILY, "everything is computed anew from the landing files", ", ".join(ANEW), _anew)


def _again(ground: Ground, order: tuple[str, ...]) -> tuple[str, list[str]]:
    """Every rerun has the rows of the first time (`rows_hash`), and readers see the same tables in the end."""
    reference = ground.references["third hour"].after["published"]
    ground.restore("third hour", END)
    before = _hashes(ground)
    broken = []
    for walk in order:
        walked(ground.start(walk))
    for key, hashes in _hashes(ground).items():
        if len(hashes) > 1:
            broken.append(f"the {key[0]} run as of {key[1]} had rows {before.get(key)}, run again {hashes}")
    found = walked(ground.start("third hour", "--look-only"))["after"]["published"]
    broken += [
        f"readers see {name} {found[name]} in the end, before the reruns {reference[name]}"
        for name in ("tables", "vectors")
        if found[name] != reference[name]
    ]
    return "the same rows", broken


def _anew(ground: Ground) -> tuple[str, list[str]]:
    """A home that starts with all landing files at once comes to the rows that nights and hours came to one by one."""
    results = []
    for anew in (False, True):
        ground.restore("third hour", END)
        landing = ground.folder / "prepared" / "landing"
        if anew:
            if not landing.exists():
                copy_home(ground.home / "landing", landing)
            models = ground.folder / "prepared" / "models"
            if not models.exists():
                copy_home(ground.home / "models", models)
            ground.clear()
            ground.home.mkdir()
            # What is learned is no result of the landing files alone: the same version ranks.
            copy_home(landing, ground.home / "landing")
            copy_home(models, ground.home / "models")
            walked(ground.start(ANEW[0]))
        for walk in ANEW[1:] if anew else ANEW[-1:]:
            walked(ground.start(walk))
        results.append((_hashes(ground), walked(ground.start("late night", "--look-only"))["after"]["published"]))
    (by_steps, shown), (at_once, shown_anew) = results
    broken = [
        f"the {key[0]} run as of {key[1]} has rows {at_once.get(key)} anew, {hashes} step by step"
        for key, hashes in by_steps.items()
        if at_once.get(key) != hashes
    ]
    # By whom a batch was used first is no content: here the first night has them all.
    broken += [
        f"readers see {shown_anew['tables'][table]} in {table} anew, {told} step by step"
        for table, told in shown["tables"].items()
        if told != shown_anew["tables"][table] and table != NEW
    ]
    return "the same rows", broken


def _hashes(ground: Ground) -> dict[tuple[str, str], set[str]]:
    """Return the hashes of ordered rows that runs of each kind and `as_of` have had."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in list_manifests(ground.home):
        found.setdefault((entry.kind, entry.window["as_of"]), set()).add(entry.rows_hash)
    return found

"""What is done to the files that readers use: old snapshots go, the pointer is torn, the clock goes back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from embeddings import checksums
from tideline.faults.ground import Ground, walked
from tideline.faults.kills import differences
from tideline.faults.look import see_published
from tideline.faults.outcome import Try
from tideline.serving.fingerprint import fingerprint
from tideline.serving.pointer import POINTER, NothingPublishedError, SnapshotError, list_snapshots, serving_folder
from tideline.serving.readers import connect

OPEN, TORN, CLOCK = "open reader", "torn pointer", "clock"
TEARS: dict[str, Callable[[Path], object]] = {
    "it is gone": lambda pointer: pointer.unlink(),
    "it names a file that is gone": lambda pointer: _point(pointer, "snap_20240301T000000Z-nightly-00000000_1.duckdb"),
    "half of its name was written": lambda pointer: _point(pointer, pointer.readlink().name[:20]),
    "it is an empty file": lambda pointer: _empty(pointer),
}
"""How a pointer is torn."""


def plan(_: Any) -> Iterator[Try]:
    """Yield the tries."""
    what = "a reader has a snapshot open while clean-up deletes it"
    yield Try(OPEN, what, "third hour, publish", _read_on)
    for how in TEARS:
        yield Try(TORN, f"the pointer is torn: {how}", "before the second hour is published", partial(_tear, how=how))
    for hours in (2, 48):
        what = f"the clock goes back by {hours} hours"
        yield Try(CLOCK, what, "before the second hour", partial(_put_back, by=timedelta(hours=hours)))


def _read_on(ground: Ground) -> tuple[str, list[str]]:
    """A reader goes on reading the rows that it opened, also those it has not read yet."""
    reference = ground.references["third hour"]
    ground.restore("third hour", "publish")
    oldest = list_snapshots(serving_folder(ground.home))[0]
    asked = "(select * from recommendations)"
    with connect(ground.settings, oldest.generation) as before:
        told = fingerprint(before, [asked])
    broken = []
    with connect(ground.settings, oldest.generation) as reader:
        reader.execute("select count(*) from user_interests").fetchone()
        answer = walked(ground.start("third hour", "--first", "publish"))
        if oldest.path.exists():
            broken.append(f"{oldest.path.name} was not cleaned up: nothing was tried")
        if fingerprint(reader, [asked]) != told:
            broken.append("the open reader got other rows after the clean-up")
    return "its own rows to the end", broken + differences(reference.after, answer["after"])


def _tear(ground: Ground, how: str) -> tuple[str, list[str]]:
    """Readers must get an error; the next publication mends it, or says what is to be moved away first."""
    reference = ground.references["second hour"]
    ground.restore("second hour", "publish")
    pointer = serving_folder(ground.home) / POINTER
    TEARS[how](pointer)
    try:
        with connect(ground.settings):
            return "served", ["readers were served through a torn pointer"]
    except (SnapshotError, NothingPublishedError):
        pass
    done = ground.start("second hour", "--first", "publish").wait()
    seen = "an error; the next publication mends it"
    if done.status:
        if "move it away" not in done.err:
            return "unknown", [f"the publication failed without saying what to do: {done.err[-500:]}"]
        pointer.unlink()
        walked(ground.start("second hour", "--first", "publish"))
        seen = "an error; the publisher says to move it away, then mends it"
    found = walked(ground.start("second hour", "--look-only"))["after"]
    return seen, differences(reference.after, found)


def _put_back(ground: Ground, by: timedelta) -> tuple[str, list[str]]:
    """Whatever was written before is from the future now: the next run must end as if it were not."""
    reference = ground.references["second hour"]
    ground.clear()
    # Copied whole: times are changed, which pictures share with their links.
    shutil.copytree(ground.folder / "pictures" / "second hour" / "open_run", ground.home, symlinks=True)
    for file in ground.home.glob("lake/batches/*/batch.json"):
        batch = json.loads(file.read_text())
        batch["landed_at"] = (datetime.fromisoformat(batch["landed_at"]) + by).isoformat()
        file.write_text(json.dumps(batch, indent=2))
        checksums.record(file.parent, ["*.parquet", "batch.json"])
    for file in ground.home.glob("serving/generations/*.json"):
        entry = json.loads(file.read_text())
        entry["committed_at"] = (datetime.fromisoformat(entry["committed_at"]) + by).isoformat()
        file.write_text(json.dumps(entry))
    for path in ground.home.rglob("*"):
        stat = path.lstat()
        later = stat.st_mtime_ns + int(by.total_seconds() * 1e9)
        if "landing" not in path.parts:
            os.utime(path, ns=(later, later), follow_symlinks=False)
    before = see_published(ground.settings)
    answer = walked(ground.start("second hour"))
    broken = differences(reference.after, answer["after"])
    if before != reference.before:
        broken.append("readers saw another generation once the clock was put back")
    return "as if it had not", broken


def _empty(pointer: Path) -> None:
    pointer.unlink()
    pointer.touch()


def _point(pointer: Path, name: str) -> None:
    pointer.unlink()
    pointer.symlink_to(name)

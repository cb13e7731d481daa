"""Processes that overlap: a second attempt of a run, two publishers, an hour and a night that start together.

A scheduler that dies leaves its task's process behind, and the next scheduler starts the task again. The older process
is stopped in the middle here, so that the newer one certainly overtakes it, and goes on afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tideline.faults.ground import END, Ground, copy_home, walked
from tideline.faults.kills import differences
from tideline.faults.outcome import Try
from tideline.faults.shop import deliver
from tideline.faults.walk import run_id
from tideline.serving.pointer import list_snapshots, serving_folder

ATTEMPTS, PUBLISHERS, TOGETHER = "second attempt", "two publishers", "hour and night together"
HEAD_START = 2.0
"""Seconds that the newer attempt gets to come as far as the lock."""
OVERTAKEN = {
    "build_behaviour": ("tables.export.before",),
    "collect_vectors": ("vectors.write.before",),
    "rank": ("ranking.part.after",),
}
"""Stages before the commit, and where in them the older attempt is overtaken."""
WAITING = (
    ("collect_vectors", "ledger.commit.before"),
    ("publish", "fence.take.after"),
    ("publish", "vectors.merge.before"),
    ("publish", "pointer.swap.before"),
    ("publish", "run.mark.before"),
)
"""Stages, and where in them the older attempt holds the lock of the ledger or of the publishers."""
FENCED = ("snapshot.rename.before", "vectors.merge.before", "manifest.write.before")
"""Where the older attempt still asks whether it was overtaken, once its lock is lost."""


_HOURS, _BOTH = "two hours are published at once", "an hour and a night are published at once"
HELD: tuple[tuple[str, str, str, str, str | None], ...] = (
    (PUBLISHERS, _HOURS, "hour", "second hour", "fence.take.after"),
    (PUBLISHERS, _HOURS, "second hour", "hour", "pointer.swap.before"),
    (PUBLISHERS, _HOURS, "hour", "second hour", None),
    (TOGETHER, _BOTH, "second hour", "late night", "pointer.swap.before"),
    (TOGETHER, _BOTH, "late night", "second hour", "fence.take.after"),
    (TOGETHER, _BOTH, "late night", "second hour", None),
)
"""Family, what happens, who comes first, who comes second, and where the first is held, if it is."""


def plan(_: Any) -> Iterator[Try]:
    """Yield the tries."""
    for stage, points in OVERTAKEN.items():
        for point in points:
            what = "an attempt is overtaken by the next one, and goes on when that one has published"
            yield Try(ATTEMPTS, what, f"night, {stage}, at {point}", partial(_overtake, stage=stage, point=point))
    for stage, point in WAITING:
        what = "an attempt stands still in a commit; the next one waits for its lock"
        yield Try(ATTEMPTS, what, f"night, {stage}, at {point}", partial(_queue, stage=stage, point=point))
    for point in FENCED:
        what = "an attempt stands still in its commit and loses its lock to the next one"
        yield Try(ATTEMPTS, what, f"night, publish, at {point}", partial(_fence, point=point))
    for family, what, first, second, held in HELD:
        where = f"{first} first, " + (f"held at {held}" if held else "neither is held")
        yield Try(family, what, where, partial(_at_once, pair=(first, second), point=held))
    yield Try(TOGETHER, "an hour and a night start at once", "from landing files to readers", _from_the_start)


def _overtake(ground: Ground, stage: str, point: str) -> tuple[str, list[str]]:
    ground.restore("night", stage)
    older = ground.start("night", "--first", stage, "--stop-at", point)
    if not older.wait_until_stopped():
        return "not held", [f"the older attempt ended: {older.wait().err[-500:]}"]
    newer = ground.start("night", "--first", stage).wait()
    older.resume()
    ended = older.wait()
    return f"newer published, older ended with {_end(ended.status, ended.err)}", _once(ground, newer.status, newer.err)


def _queue(ground: Ground, stage: str, point: str) -> tuple[str, list[str]]:
    ground.restore("night", stage)
    # What a scheduler leaves behind is one task: it ends with its stage, where two whole runs would meet again.
    older = ground.start("night", "--first", stage, "--last", stage, "--stop-at", point)
    if not older.wait_until_stopped():
        return "not held", [f"the older attempt ended: {older.wait().err[-500:]}"]
    newer = ground.start("night", "--first", stage)
    time.sleep(HEAD_START)
    older.resume()
    ended = older.wait()
    done = newer.wait()
    return f"older ended with {_end(ended.status, ended.err)}, newer changed nothing", _once(
        ground, done.status, done.err
    )


def _fence(ground: Ground, point: str) -> tuple[str, list[str]]:
    ground.restore("night", "publish")
    older = ground.start("night", "--first", "publish", "--stop-at", point)
    if not older.wait_until_stopped():
        return "not held", [f"the older attempt ended: {older.wait().err[-500:]}"]
    # The kernel frees a lock only with its process: what a file system between hosts loses is lost by this.
    (serving_folder(ground.home) / "lock").unlink()
    (ground.home / "runs" / run_id("night") / "publish.lock").unlink()
    newer = ground.start("night", "--first", "publish").wait()
    older.resume()
    ended = older.wait()
    broken = _once(ground, newer.status, newer.err, spare=True)
    if not ended.status:
        broken.append("the overtaken attempt ended as if it had published")
    return f"newer published, older ended with {_end(ended.status, ended.err)}", broken


def _once(ground: Ground, status: int, log: str, *, spare: bool = False) -> list[str]:
    """Return what is broken after both attempts: all is as undisturbed, and one snapshot was made.

    `spare`: the overtaken attempt may have named its own, to which nothing points.
    """
    if status:
        return [f"the newer attempt failed: {log[-800:]}"]
    broken = differences(ground.references["night"].after, walked(ground.start("night", "--look-only"))["after"])
    snapshots = [snapshot.path.name for snapshot in list_snapshots(serving_folder(ground.home))]
    if len(snapshots) > 1 + spare:
        broken.append(f"it was published more than once: {', '.join(snapshots)}")
    return broken


def _at_once(ground: Ground, pair: tuple[str, str], point: str | None) -> tuple[str, list[str]]:
    prepared = _prepare(ground, pair)
    expected = []
    for order in (pair, pair[::-1]):
        _restore(ground, prepared)
        for walk in order:
            answer = walked(ground.start(walk, "--first", "publish"))
        expected.append(_content(answer))
    if expected[0] != expected[1]:
        return "order matters", [f"{pair[0]} before {pair[1]} gives {expected[0]}, the other way {expected[1]}"]
    _restore(ground, prepared)
    first = ground.start(pair[0], "--first", "publish", *(["--stop-at", point] if point else []))
    if point and not first.wait_until_stopped():
        return "not held", [f"{pair[0]} ended: {first.wait().err[-500:]}"]
    second = ground.start(pair[1], "--first", "publish")
    if point:
        first.resume()
    ends = [first.wait(), second.wait()]
    broken = [f"a publisher failed: {end.err[-800:]}" for end in ends if end.status]
    found = _content(walked(ground.start(pair[0], "--look-only")))
    if found != expected[0]:
        broken.append(f"at once they give {found}, one after the other {expected[0]}")
    return "as one after the other, in either order", broken


def _from_the_start(ground: Ground) -> tuple[str, list[str]]:
    ground.restore("hour", END)
    deliver(ground.home / "landing", "second hour")
    both = [ground.start(walk) for walk in ("late night", "second hour")]
    broken = [f"a run failed: {end.err[-800:]}" for end in [one.wait() for one in both] if end.status]
    found = _content(walked(ground.start("second hour", "--look-only")))
    ground.restore("hour", END)
    deliver(ground.home / "landing", "second hour")
    for walk in ("second hour", "late night"):
        answer = walked(ground.start(walk))
    if found != _content(answer):
        broken.append(f"started together they give {found}, one after the other {_content(answer)}")
    return "as one after the other", broken


def _prepare(ground: Ground, pair: tuple[str, str]) -> Path:
    """Return a home in which both runs are built and neither is published, made once for each ground."""
    prepared = ground.folder / "prepared" / "-".join(sorted(pair)).replace(" ", "_")
    if not prepared.exists():
        ground.restore("hour", "publish" if "hour" in pair else END)
        deliver(ground.home / "landing", "second hour")
        for walk in pair:
            if walk != "hour":
                walked(ground.start(walk, "--last", "build_marts"))
        copy_home(ground.home, prepared)
    return prepared


def _restore(ground: Ground, prepared: Path) -> None:
    ground.clear()
    copy_home(prepared, ground.home)


def _content(answer: dict[str, Any]) -> tuple[Any, Any]:
    """Return what readers see, the names of generations apart: the tables and the vectors."""
    return answer["after"]["published"]["tables"], answer["after"]["published"]["vectors"]


def _end(status: int, log: str) -> str:
    if not status:
        return "success"
    lines = [line for line in log.splitlines() if "Error" in line]
    return (lines[-1] if lines else f"status {status}").partition(":")[0].rpartition(".")[2]

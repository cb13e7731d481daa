"""Kill -9 at every failpoint: readers see one whole generation, and the rerun ends as if nothing had been."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from embeddings.failpoints import FAILPOINTS, SIDE_EFFECTS
from tideline.faults.ground import Ground, Reference
from tideline.faults.outcome import Outcome

FAMILY = "killed"
SAME_CODE = {
    "training": {"train_models", "choose_champion"},
    "hour": {"take_in", "join_vectors", "rank", "publish"},
    "second hour": set[str](),
}
"""Of these runs only the stages that do something else than a night's; of a run that is not listed, all."""
CLEANUP = ("cleanup.",)
"""Of the third hour, only what no run before it had to clean up."""
REMAINS = {
    r"serving/snap_[^/]+\.duckdb": "a snapshot that nobody refers to: it ages out with the others",
    r"vectors/[^/]+/[^/]+\.lance/.*": "an older version of a table: it goes with the tags before it",
    r"runs/[^/]+/.*": "in a run's folder: it goes with the run",
    r"intake/[^/]+/.*": "a killed intake's private scratch: the next intake after a day removes it",
    r"serving/\.current\.duckdb\.part": "the next swap replaces it",
    r"cache/.*": "saves time only",
    r"(.*/)?\.[^/]+\.\d+\.part": "a small file that was being written",
    r"vectors/[^/]+/shards/\.[^/]+\.part": "vectors that were being written: the next plan after a day removes them",
    r"models/\.new-[^/]+/.*": "a version that was being written",
    r"models/[^/]+": "the log of champions and its lock",
}
"""What a kill may leave behind, and what becomes of it; anything else is a leftover."""
SHORT = ("manifest.write.after", "pointer.swap.after")


class Try(NamedTuple):
    """Where one process is killed."""

    walk: str
    stage: str
    failpoint: str
    passing: int


def plan_tries(references: dict[str, Reference], only: tuple[str, ...] = FAILPOINTS) -> list[Try]:
    """Return the tries: each failpoint of each stage that does something of its own, at its first and last passing."""
    tries = []
    for walk, reference in references.items():
        for stage, passed in reference.passed.items():
            if walk in SAME_CODE and stage not in SAME_CODE[walk]:
                continue
            for name, times in passed.items():
                if name in only and (walk != "third hour" or name.startswith(CLEANUP)):
                    tries += [Try(walk, stage, name, passing) for passing in sorted({1, times})]
    return tries


def never_passed(references: dict[str, Reference]) -> list[str]:
    """Return the failpoints that no undisturbed run passed: nothing is known about them."""
    passed = {name for reference in references.values() for names in reference.passed.values() for name in names}
    return [name for name in FAILPOINTS if name not in passed]


def kill_everywhere(ground: Ground, tries: list[Try]) -> Iterator[Outcome]:
    """Do the tries one after the other; each yields what came of it."""
    for one in tries:
        started = time.perf_counter()
        seen, broken = _kill(ground, one)
        where = f"{one.walk}, {one.stage}" + (f", passing {one.passing}" if one.passing > 1 else "")
        yield Outcome(FAMILY, one.failpoint, where, seen, time.perf_counter() - started, tuple(broken))


def _kill(ground: Ground, one: Try) -> tuple[str, list[str]]:
    reference = ground.references[one.walk]
    ground.restore(one.walk, one.stage)
    killed = ground.start(one.walk, "--first", one.stage, failpoint=f"{one.failpoint}:{one.passing}")
    said = f"failpoint {one.failpoint}: killed"
    if killed.returncode != -signal.SIGKILL or said not in killed.stderr:
        return "not killed", [f"the process ended with {killed.returncode}: {killed.stderr[-500:]}"]
    left = ground.files()
    rerun = ground.start(one.walk, "--first", one.stage, "--look")
    if rerun.returncode:
        return "unknown", [f"the rerun failed: {rerun.stderr[-1500:]}"]
    answer = json.loads(rerun.stdout.splitlines()[-1])
    seen = "old" if answer["before"] == reference.before else "new"
    broken = []
    if answer["before"] not in (reference.before, reference.after["published"]):
        seen, broken = "neither", [f"readers saw neither generation: {answer['before']}"]
    broken += _differences(reference.after, answer["after"])
    # What the rerun itself needs has the names of an undisturbed run.
    strays = (left & ground.files()) - reference.files
    broken += [f"left behind: {name}" for name in sorted(strays) if not _is_known(name)]
    return seen, broken


def _differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [
        f"after the rerun {name} is {found[name]}, undisturbed {value}"
        for name, value in expected.items()
        if found[name] != value
    ]


def _is_known(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in REMAINS)


def describe(failpoint: str) -> str:
    """Return what happens at a failpoint, in words."""
    effect, _, side = failpoint.rpartition(".")
    return f"{side} {SIDE_EFFECTS[effect][1]}"

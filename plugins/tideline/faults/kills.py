"""Kill -9 at every failpoint: readers see one whole generation, and the rerun ends as if nothing had been."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from embeddings.failpoints import FAILPOINTS, SIDE_EFFECTS
from tideline.faults.ground import Ground, Reference, read_answer
from tideline.faults.outcome import Try

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
    r"(serving|serving/generations|models)/\.[^/]+\.\d+\.part": "a small file that was being written: "
    "the clean-up of a commit after a day removes it",
    r"vectors/[^/]+/shards/\.[^/]+\.part": "vectors that were being written: the next plan after a day removes them",
    r"models/\.new-[^/]+/.*": "a version that was being written: the clean-up of a commit after a day removes it",
    r"models/champions\.(jsonl|lock)": "the log of champions and its lock",
}
"""What a kill may leave behind, and what becomes of it; anything else is a leftover."""
CUT = ("take_in", "build_behaviour", "plan_texts", "embed_shards", "collect_vectors", "rank", "train_models")
"""Stages that end with the same checksums of the same files whenever they are run: of their tries the last one goes on
to the end of the run, the others end there."""
SHORT = ("manifest.write.after", "pointer.swap.after")


class Place(NamedTuple):
    """Where one process is killed."""

    walk: str
    stage: str
    failpoint: str
    passing: int
    whole: bool
    """Whether the rerun goes on to the end of the run, even if the killed stage left what it leaves undisturbed."""


def plan(references: dict[str, Reference], only: tuple[str, ...] = FAILPOINTS) -> Iterator[Try]:
    """Yield the tries: each failpoint of each stage that does something of its own, at its first and last passing."""
    for walk, reference in references.items():
        for stage, passed in reference.passed.items():
            if walk in SAME_CODE and stage not in SAME_CODE[walk]:
                continue
            places = [
                (name, passing)
                for name, times in passed.items()
                if name in only and (walk != "third hour" or name.startswith(CLEANUP))
                for passing in sorted({1, times})
            ]
            for name, passing in places:
                where = f"{walk}, {stage}" + (f", passing {passing}" if passing > 1 else "")
                whole = (name, passing) == places[-1] or stage not in CUT
                place = Place(walk, stage, name, passing, whole)
                yield Try(FAMILY, describe(name), where, partial(_kill, one=place))


def never_passed(references: dict[str, Reference]) -> list[str]:
    """Return the failpoints that no undisturbed run passed: nothing is known about them."""
    passed = {name for reference in references.values() for names in reference.passed.values() for name in names}
    return [name for name in FAILPOINTS if name not in passed]


def _kill(ground: Ground, one: Place) -> tuple[str, list[str]]:
    reference = ground.references[one.walk]
    ground.restore(one.walk, one.stage)
    killed = ground.start(one.walk, "--first", one.stage, failpoint=f"{one.failpoint}:{one.passing}").wait()
    said = f"failpoint {one.failpoint}: killed"
    if killed.status != -signal.SIGKILL or said not in killed.err:
        return "not killed", [f"the process ended with {killed.status}: {killed.err[-500:]}"]
    left = ground.files()
    rerun = ground.start(one.walk, "--first", one.stage, "--look", *([] if one.whole else ["--last", one.stage])).wait()
    if rerun.status:
        return "unknown", [f"the rerun failed: {rerun.err[-1500:]}"]
    answer = read_answer(rerun)
    seen, broken = name_seen(reference, answer["before"])
    expected = reference.after if one.whole else reference.ended[one.stage]
    broken += differences(expected, answer["after"])
    # What the rerun itself needs has the names of an undisturbed run.
    names = list(reference.passed)
    own = reference.files if one.whole else ground.files(one.walk, names[names.index(one.stage) + 1])
    strays = (left & ground.files()) - own
    broken += [f"left behind: {name}" for name in sorted(strays) if not _is_known(name)]
    return seen, broken


def name_seen(reference: Reference, published: dict[str, Any]) -> tuple[str, list[str]]:
    """Say which generation readers saw, `old` or `new`, and the broken promise if neither."""
    if published == reference.before:
        return "old", []
    if published == reference.after["published"]:
        return "new", []
    return "neither", [f"readers saw neither generation whole: {published}"]


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return a sentence for each part of `look.see_all` that is not as expected."""
    return [
        f"in the end {name} is {found[name]}, undisturbed {value}"
        for name, value in expected.items()
        if found[name] != value
    ]


def describe(failpoint: str) -> str:
    """Return a failpoint and what happens there, in words."""
    effect, _, side = failpoint.rpartition(".")
    return f"`{failpoint}`: {side} {SIDE_EFFECTS[effect][1]}"


def _is_known(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in REMAINS)

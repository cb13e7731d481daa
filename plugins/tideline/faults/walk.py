"""One process that walks the stages of a run as Airflow's tasks do, from the first one or from one in the middle.

`python -m tideline.faults.walk WALK [--first STAGE] [--last STAGE] [--look] [--pictures FOLDER] [--stop-at FAILPOINT]`
prints one JSON object: what could be seen `before` (with `--look`) and `after`, and `passed`, the failpoints that each
stage passed and how often. Gates are left out: they decide whether a run goes on and change nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from embeddings.failpoints import watch
from embeddings.settings import load_settings
from tideline import stages
from tideline import walk as walk_of_a_run
from tideline.faults.ground import END, copy_home
from tideline.faults.look import Seen, see_all, see_published
from tideline.faults.shop import WALKS
from tideline.run import name_run
from tideline.walk import GATES
from tideline.window import Kind, window_ending

TOKEN = "faults"  # noqa: S105  not a password: tells these runs from others
STAGES: dict[Kind, tuple[str, ...]] = {
    kind: tuple(stage for stage in names if stage not in GATES) + (("choose_champion",) if kind == "training" else ())
    for kind, names in walk_of_a_run.STAGES.items()
}


def walk(
    name: str, first: str, last: str | None, pictures: Path | None, stop_at: str | None, gate: bool
) -> tuple[dict[str, dict[str, int]], dict[str, Seen]]:
    """Do the stages of a run from `first` to `last`.

    With `pictures`, the home is copied to `<pictures>/<walk>/<stage>` before each stage and after the last one. With
    `stop_at`, the process stops there (SIGSTOP) once, until somebody lets it go on. With `gate`, what came in is
    checked after `take_in`.

    Returns
    -------
    dict, dict
        The failpoints that each stage passed, unless the process is to die at one; with `pictures`, what there was
        after each.
    """
    settings = load_settings()
    passed: dict[str, Counter[str]] = {}
    ended = {}
    kind, _ = WALKS[name]
    names = STAGES[kind]
    stopping = [stop_at]

    def pass_by(point: str) -> None:
        passed[stage][point] += 1
        if point in stopping:
            stopping.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    for stage in names[names.index(first) : names.index(last or names[-1]) + 1]:
        if pictures:
            copy_home(settings.root, pictures / name / stage)
        passed[stage] = Counter()
        if settings.failpoint is None:
            watch(pass_by)
        _do(stage, name)
        if gate and stage == "take_in":
            stages.check_staging(run_id(name))
        if pictures:
            ended[stage] = see_all(settings, run_id(name))
    if pictures:
        copy_home(settings.root, pictures / name / END)
    return {stage: dict(counted) for stage, counted in passed.items()}, ended


def run_id(name: str) -> str:
    """Return the id of a walk's run."""
    return name_run(window_ending(*WALKS[name]), TOKEN)


def _do(stage: str, name: str) -> None:
    if stage == "choose_champion":
        _choose_champion()
    else:
        walk_of_a_run.walk(window_ending(*WALKS[name]), TOKEN, first=stage, last=stage)


def _choose_champion() -> None:
    """Make the version champion by hand, if the gate did not: so little is learned from a small shop."""
    from embeddings.failpoints import arm
    from tideline.models import list_champions, list_versions, use_version

    settings = load_settings()
    arm(settings.failpoint)
    if not list_champions(settings.root):
        use_version(settings.root, list_versions(settings.root)[-1].name)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="tideline.faults.walk", description=__doc__)
    names = sorted({stage for names in STAGES.values() for stage in names})
    parser.add_argument("walk", choices=WALKS)
    parser.add_argument("--first", default="open_run", choices=names)
    parser.add_argument("--last", default=None, choices=names)
    parser.add_argument("--look", action="store_true", help="look at what readers see before anything is done")
    parser.add_argument("--look-only", action="store_true", help="look, and do nothing")
    parser.add_argument("--pictures", type=Path, default=None, help="copy the home there before each stage")
    parser.add_argument("--stop-at", default=None, help="failpoint at which the process stops until it is continued")
    parser.add_argument("--gate", action="store_true", help="check what came in after take_in")
    options = parser.parse_args(arguments)
    before = see_published(load_settings()) if options.look or options.look_only else None
    passed: dict[str, dict[str, int]] = {}
    ended: dict[str, Seen] = {}
    if not options.look_only:
        passed, ended = walk(options.walk, options.first, options.last, options.pictures, options.stop_at, options.gate)
    after = see_all(load_settings(), run_id(options.walk))
    print(json.dumps({"before": before, "after": after, "passed": passed, "ended": ended}))  # noqa: T201  the answer
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make faults`: do to a small shop what may happen to a real one, and see whether every promise holds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from embeddings.settings import Settings
from tideline.faults.document import write_document
from tideline.faults.ground import open_ground
from tideline.faults.kills import SHORT, kill_everywhere, never_passed, plan_tries
from tideline.faults.outcome import Outcome
from tideline.faults.shop import WALKS
from tideline.report import REPOSITORY, describe_machine
from tideline.run import write_atomically

DOCUMENT = REPOSITORY / "docs" / "reliability.md"


def faults(settings: Settings, *, short: bool = False, only: str = "") -> int:
    """Try the faults, print a line for each try, write `docs/reliability.md`; return the exit status.

    Parameters
    ----------
    short
        A night and a handful of failpoints, for CI; nothing is written.
    only
        Tries whose failpoint or place contains this text; nothing is written.

    Returns
    -------
    int
        1 if a promise was broken, or if nothing is known about a failpoint; else 0.
    """
    outcomes: list[Outcome] = []
    unknown: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tideline-faults-") as folder:
        ground = open_ground(Path(folder).resolve(), settings)
        ground.walk_undisturbed(["night"] if short else list(WALKS))
        tries = plan_tries(ground.references, SHORT) if short else plan_tries(ground.references)
        if not (short or only):
            unknown = never_passed(ground.references)
        chosen = [one for one in tries if only in f"{one.walk}, {one.stage}, {one.failpoint}"]
        for number, outcome in enumerate(kill_everywhere(ground, chosen), 1):
            what = f"{outcome.fault} ({outcome.where}): {outcome.seen}"
            print(f"[{number}/{len(chosen)}] {what}, {outcome.seconds:.1f} s", flush=True)
            for promise in outcome.broken:
                print(f"    BROKEN: {promise}")
            outcomes.append(outcome)
    for name in unknown:
        print(f"BROKEN: no run passed {name}: nothing is known about it")
    broken = sum(bool(outcome.broken) for outcome in outcomes)
    print(f"{len(outcomes)} tries, {broken} broke a promise")
    if not (short or only):
        write_atomically(DOCUMENT, write_document(outcomes, describe_machine()))
        print(f"written: {DOCUMENT.relative_to(REPOSITORY)}")
    return int(bool(broken or unknown or not outcomes))

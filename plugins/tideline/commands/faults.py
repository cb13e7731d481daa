"""`make faults`: do to a small shop what may happen to a real one, and see whether every promise holds."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embeddings.failpoints import FAILPOINTS
from embeddings.settings import Settings
from tideline.faults import flips, full, kills, overlaps, reruns, served, volume
from tideline.faults.document import write_document
from tideline.faults.ground import Reference, open_ground
from tideline.faults.outcome import Outcome, Try
from tideline.faults.pool import do_tries, walk_grounds
from tideline.faults.shop import UNDISTURBED, WALKS
from tideline.faults.walk import STAGES
from tideline.report import REPOSITORY, describe_machine
from tideline.run import write_atomically

DOCUMENT = REPOSITORY / "docs" / "reliability.md"
WORKERS = 2
FAMILIES = (reruns, volume, flips, overlaps, full, served, kills)
"""In the order in which they are tried: the longest tries first, so that no worker waits long at the end."""


def faults(settings: Settings, *, short: bool = False, only: str = "") -> int:
    """Try the faults, print a line for each try, write `docs/reliability.md`; return the exit status.

    Parameters
    ----------
    short
        A night and a handful of failpoints, for CI; nothing is written.
    only
        Tries whose family, fault or place contains this text; nothing is written.

    Returns
    -------
    int
        1 if a promise was broken, or if nothing is known about a failpoint; else 0.

    Raises
    ------
    ValueError
        If no try can contain `only`.
    """
    if not any(only in text for text in _texts()):
        raise ValueError(f"no try contains ONLY={only!r}: say part of a failpoint, a fault, a stage or a run")
    started = time.perf_counter()
    outcomes: list[Outcome] = []
    unknown: list[str] = []
    with _silenced(), tempfile.TemporaryDirectory(prefix="tideline-faults-") as folder:
        grounds = [
            open_ground(Path(folder).resolve() / str(number), settings) for number in range(1 if short else WORKERS)
        ]
        walk_grounds(grounds, ["night"] if short else list(UNDISTURBED))
        references = grounds[0].references
        tries = list(kills.plan(references, kills.SHORT)) if short else _plan(references)
        chosen = [one for one in tries if only in f"{one.family}, {one.fault}, {one.where}"]
        if not (short or only):
            unknown = kills.never_passed(references)
        print(f"{len(chosen)} tries; the undisturbed runs took {time.perf_counter() - started:.0f} s", flush=True)
        for number, outcome in enumerate(do_tries(grounds, chosen), 1):
            what = f"{outcome.family}: {outcome.fault} ({outcome.where}): {outcome.seen}"
            print(f"[{number}/{len(chosen)}] {what}, {outcome.seconds:.1f} s", flush=True)
            for promise in outcome.broken:
                print(f"    BROKEN: {promise}", flush=True)
            outcomes.append(outcome)
    for name in unknown:
        print(f"BROKEN: no run passed {name}: nothing is known about it")
    seconds = time.perf_counter() - started
    broken = sum(bool(outcome.broken) for outcome in outcomes)
    print(f"{len(outcomes)} tries in {seconds:.0f} s, {broken} broke a promise")
    if not (short or only):
        write_atomically(DOCUMENT, write_document(outcomes, describe_machine(), seconds))
        print(f"written: {DOCUMENT.relative_to(REPOSITORY)}")
    return int(bool(broken or unknown or not outcomes))


@contextmanager
def _silenced() -> Iterator[None]:
    """Leave out what a scrub says of damage that was done on purpose."""
    logger = logging.getLogger("tideline")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _texts() -> Iterator[str]:
    """Yield whatever `only` may be part of, as far as it is known before anything was walked."""
    for family in FAMILIES:
        yield from (f"{one.family}, {one.fault}, {one.where}" for one in family.plan({}))
    for walk in UNDISTURBED:
        yield from (f"{walk}, {stage}" for stage in STAGES[WALKS[walk][0]])
    yield from (f"{kills.FAMILY}, {kills.describe(name)}" for name in FAILPOINTS)


def _plan(references: dict[str, Reference]) -> list[Try]:
    return [one for family in FAMILIES for one in family.plan(references)]

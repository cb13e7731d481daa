"""`docs/reliability.md`: what was tried how often, and what was seen. Written by `make faults`, never by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from tideline.faults.kills import REMAINS
from tideline.faults.outcome import Outcome

HEAD = """# Reliability

Written by `make faults`: do not edit. Each fault is done to a small made-up shop whose runs were walked undisturbed
first; `old` and `new` are the generations before and after the run.
"""
KILLED = """
## Killed with SIGKILL

At each place the process is killed, then readers look, then the killed stage and those after it are run again. Held
each time: readers saw one whole generation (tables, `run_history.rows_hash`, vectors), and the rerun ended with the
hash, batches, events, texts, versions and champions of an undisturbed run.

| killed | times | readers saw | promises broken |
|---|---|---|---|
"""


def write_document(outcomes: Sequence[Outcome], machine: str, seconds: float) -> str:
    """Return the page of all outcomes, in Markdown. `seconds` is the wall time of the whole command."""
    broken = [outcome for outcome in outcomes if outcome.broken]
    page = HEAD + f"\n{len(outcomes)} tries in {seconds:.0f} s on {machine}; {len(broken)} broke a promise.\n"
    page += KILLED + "".join(_rows(outcomes))
    page += "\nWhat a kill may leave behind, and what becomes of it:\n\n"
    page += "".join(f"- `{pattern}`: {fate}\n" for pattern, fate in REMAINS.items())
    if broken:
        page += "\n## Broken\n\n"
        page += "".join(f"- {one.fault} ({one.where}): {promise}\n" for one in broken for promise in one.broken)
    return page


def _rows(outcomes: Sequence[Outcome]) -> list[str]:
    by_fault = defaultdict(list)
    for outcome in outcomes:
        by_fault[outcome.fault].append(outcome)
    return [
        f"| {fault} | {len(tries)} | {_seen(tries)} | {sum(len(o.broken) for o in tries)} |\n"
        for fault, tries in by_fault.items()
    ]


def _seen(tries: Sequence[Outcome]) -> str:
    counted = Counter(outcome.seen for outcome in tries)
    return ", ".join(f"{seen} {times}" for seen, times in sorted(counted.items()))

"""`docs/reliability.md`: what was tried how often, and what was seen. Written by `make faults`, never by hand."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from tideline.faults import flips, full, kills, overlaps, reruns, served, volume
from tideline.faults.outcome import Outcome

HEAD = """# Reliability

Written by `make faults`: do not edit. Each fault is done to a small made-up shop (a training, a night, three hours)
whose runs were walked undisturbed first; `old` and `new` are the generations before and after the run.
"""
FAMILIES = {
    overlaps.ATTEMPTS: (
        "A second attempt of a run",
        "As after a scheduler that was killed and left its task behind. One attempt publishes; the other waits and "
        "changes nothing, or is fenced (`FencedError`), or finds its files gone. All ends as undisturbed.",
    ),
    overlaps.PUBLISHERS: (
        "Two publishers",
        "Both commits hold, in either order and at once, with the same tables and vectors.",
    ),
    overlaps.TOGETHER: (
        "An hour and a night together",
        "Neither loses the other's rows: in either order and at once, tables and vectors are the same.",
    ),
    flips.BEFORE: (
        "A bit turned over before publish",
        "Parquet files of the lake and of the run. The run ends before readers see anything of it; mended, it ends as "
        "undisturbed.",
    ),
    flips.STORED: (
        "A bit turned over in Lance files",
        "The scrub names the file and no other; moved away, the table is made again with the same content.",
    ),
    flips.SNAPSHOT: (
        "A bit turned over in the current snapshot",
        "Readers get an error, by DuckDB's own checksums, or the same rows; the scrub finds what they get an error "
        "from; moved away, the next publication goes back to the last whole generation and on from there.",
    ),
    served.OPEN: ("A reader that stays open across clean-up", "It reads its own rows to the end."),
    served.TORN: ("A torn pointer", "Readers get an error, never other rows; the next publication mends it."),
    served.CLOCK: ("The clock goes back", "Everything written so far is from the future; the next run ends as ever."),
    full.FAMILY: (
        "A full disk",
        "The home lies on a file system of its own (tmpfs in a mount namespace) with so little room. The run fails, "
        "readers see the generation before; with room again, the rerun ends as undisturbed. Where a user may not make "
        "namespaces, this is not tried.",
    ),
    volume.FAMILY: (
        "Too little or too much lands",
        f"The gate stops the night, and readers see what they saw. Usual are {volume.USUAL} rows a delivery.",
    ),
    reruns.FAMILY: (
        "Windows run again",
        "Each rerun has the hash of ordered rows of the first time, and readers see the same tables and vectors.",
    ),
    kills.FAMILY: (
        "Killed with SIGKILL",
        "At each place the process is killed, then readers look, then the killed stage and those after it are run "
        "again. Readers see one whole generation (tables, `run_history.rows_hash`, vectors); the rerun ends with the "
        "hash, batches, events, texts, versions and champions of an undisturbed run. Of stages that write the same "
        f"files each time ({', '.join(f'`{name}`' for name in kills.CUT)}), all tries but the last end with the "
        "stage, its files compared by checksum.",
    ),
}
"""Title and promise of each family of faults, in the order of the page."""


def write_document(outcomes: Sequence[Outcome], machine: str, seconds: float) -> str:
    """Return the page of all outcomes, in Markdown. `seconds` is the wall time of the whole command."""
    broken = [outcome for outcome in outcomes if outcome.broken]
    page = HEAD + f"\n{len(outcomes)} tries in {seconds:.0f} s on {machine}; {len(broken)} broke a promise.\n"
    for family, (title, promise) in FAMILIES.items():
        own = [outcome for outcome in outcomes if outcome.family == family]
        page += f"\n## {title}\n\n{promise}\n\n"
        page += "| what was done | times | what was seen | promises broken |\n|---|---|---|---|\n" if own else ""
        page += "".join(_rows(own)) or "Not tried on this machine.\n"
    page += "\nWhat a kill may leave behind, and what becomes of it:\n\n"
    page += "".join(f"- `{pattern}`: {fate}\n" for pattern, fate in kills.REMAINS.items())
    if broken:
        page += "\n## Broken\n\n"
        page += "".join(f"- {one.fault} ({one.where}): {_brief(promise)}\n" for one in broken for promise in one.broken)
    return page


def _brief(promise: str) -> str:
    """Return what is broken without the stack of an error, of which the last line says most, and without folders."""
    lines = promise.strip().splitlines()
    said = lines[0] if len(lines) == 1 else f"{lines[0].split(':')[0]}: {lines[-1]}"
    return re.sub(r"(?:/[\w.-]+)+/home/", "<home>/", said)


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
    return "; ".join(f"{seen} ({times})" for seen, times in sorted(counted.items()))

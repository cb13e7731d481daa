"""Too little or too much lands: the gate stops a night, and what is published stays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tideline.faults.ground import END, Ground, copy_home, walked
from tideline.faults.look import see_published
from tideline.faults.outcome import Try
from tideline.faults.shop import deliver_rows

FAMILY = "volume"
USUAL, DELIVERIES = 150, 4
CASES = {
    "nothing": (0, True),
    "a tenth": (USUAL // 12, True),
    "the usual": (USUAL, False),
    "tenfold": (USUAL * 11, True),
}
"""Rows that land, and whether the gate must refuse them."""


def plan(_: Any) -> Iterator[Try]:
    """Yield the tries."""
    for case in CASES:
        yield Try(FAMILY, f"{case} lands before a night", "gate after intake", partial(_land, case=case))


def _land(ground: Ground, case: str) -> tuple[str, list[str]]:
    prepared = ground.folder / "prepared" / "volume"
    if not prepared.exists():
        # A usual number of rows needs some deliveries that a committed run has used.
        ground.restore("hour", END)
        for number in range(DELIVERIES):
            deliver_rows(ground.home / "landing", f"usual-{number}", USUAL, "next night")
            walked(ground.start("next night", "--last", "take_in"))
        walked(ground.start("next night", "--first", "build_behaviour"))
        copy_home(ground.home, prepared)
    ground.clear()
    copy_home(prepared, ground.home)
    before = see_published(ground.settings)
    rows, refused = CASES[case]
    deliver_rows(ground.home / "landing", "case", rows, "night after")
    done = ground.start("night after", "--last", "take_in", "--gate").wait()
    broken = []
    if refused and (not done.status or "delivery" not in done.err):
        broken.append(f"the gate let {rows} rows pass where {USUAL} are usual: {done.err[-500:]}")
    if not refused and done.status:
        broken.append(f"the gate refused a usual delivery: {done.err[-800:]}")
    if see_published(ground.settings) != before:
        broken.append("readers see something else than before")
    return ("refused, old" if done.status else "let pass"), broken

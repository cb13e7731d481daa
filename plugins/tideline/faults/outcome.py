"""One try of one fault: what was done and what was seen."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """What came of one try."""

    family: str
    """Kind of fault: `killed`, ..."""
    fault: str
    """What was done, in the family's words; tries of one fault are counted together."""
    where: str
    """Run and stage in which it was done."""
    seen: str
    """What readers saw right after the fault: `old`, `new`, or what was wrong."""
    seconds: float
    broken: tuple[str, ...] = ()
    """Promises that did not hold, one sentence each; empty if all held."""

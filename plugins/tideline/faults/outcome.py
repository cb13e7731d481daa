"""One try of one fault: what is to be done, and what was seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tideline.faults.ground import Ground


class Try(NamedTuple):
    """One fault at one place, ready to be done."""

    family: str
    """Key of `document.FAMILIES`."""
    fault: str
    """What is done, in words; tries of one fault are counted together."""
    where: str
    """Run and stage in which it is done."""
    attempt: Callable[[Ground], tuple[str, list[str]]]
    """Does it on a ground of its own; returns what was seen and the promises that did not hold."""


class Outcome(NamedTuple):
    """What came of one try."""

    family: str
    fault: str
    where: str
    seen: str
    """What was seen right after the fault: `old`, `new`, or whatever the family's words are."""
    seconds: float
    broken: tuple[str, ...] = ()
    """Promises that did not hold, one sentence each; empty if all held."""

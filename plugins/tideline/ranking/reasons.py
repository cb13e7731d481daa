"""The sentence that says why: it names the largest part of the score and, where events support it, titles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.because import Cited
from tideline.ranking.events import LINEAR_PARTS
from tideline.ranking.pairs import Indices, pair_keys
from tideline.ranking.ranker import PARTS

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue

PAST = {"purchase": "bought", "rating": "rated", "review": "reviewed", "view": "viewed"}
PRESENT = {"purchase": "buy", "rating": "rate", "review": "review", "view": "view"}
REGULAR = 3
"""Events with an item from which the user is said to choose it regularly."""
WITHOUT_EVENT = {
    "long": "Close to what you have liked over time",
    "short": "Close to what you like now",
    "popularity": "Popular with everyone",
    "base": "Completes the list: nothing more is known yet",
}


def write_reasons(
    block: Block, catalogue: Catalogue, trend_days: float, user: Indices, item: Indices, parts: NDArray, cited: Cited
) -> list[str]:
    """Write one sentence a row, by its largest part; where none is positive the sentence says so.

    Strings are made one at a time, at some two microseconds a row.
    """
    largest = np.where(parts.max(axis=1, initial=0.0) > 0, parts.argmax(axis=1), PARTS.index("base"))
    listed = block.events
    known = cited.event >= 0
    event = np.where(known, cited.event, 0)
    linear = np.where(known, listed.part[event], -1) if len(listed.part) else np.full(event.shape, -1)
    event_item = listed.item[event] if len(listed.part) else event
    leads, others = _leads((linear >= 0) & (linear < 2) & (cited.contribution > 0), event_item)
    owns = (linear == LINEAR_PARTS.index("own_history")).argmax(axis=1)
    rows = np.arange(user.size)
    place = np.where(largest == PARTS.index("own_history"), owns, np.maximum(leads, 0))
    cited_event, cited_item = event[rows, place], event_item[rows, place]
    # An event with the very item is told as such, whichever part it supports.
    by_vector = (largest == PARTS.index("long")) | (largest == PARTS.index("short"))
    largest[by_vector & (leads >= 0) & (cited_item == item)] = PARTS.index("own_history")
    types = listed.event_type.take(cited_event).to_pylist() if len(listed.part) else [None] * user.size
    titles = catalogue.title.take(np.maximum(cited_item, 0)).to_pylist() if len(listed.part) else [None] * user.size
    times = _times(block, catalogue, user, item)
    return [
        _sentence(PARTS[part], lead, None if of < 0 else title, kind, other, count, trend_days)
        for part, lead, of, title, kind, other, count in zip(
            largest.tolist(), leads.tolist(), cited_item.tolist(), titles, types, others.tolist(), times.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def _sentence(
    part: str, lead: int, title: str | None, kind: str | None, others: int, times: int, trend_days: float
) -> str:
    if part == "own_history":
        if times >= REGULAR:
            return f"You {PRESENT.get(kind or '', 'choose')} this regularly ({times} times)"
        return f"You {PAST.get(kind or '', 'chose')} this before"
    if part in ("long", "short") and lead >= 0:
        verb = f"you {PAST.get(kind or '', 'chose')} {title}" if title is not None else "of your search"
        return f"Because {verb}" + (f" and {others} other{'s' if others > 1 else ''}" if others else "")
    if part == "trend":
        return "Popular this week" if trend_days == 7 else f"Popular in the last {trend_days:g} days"
    return WITHOUT_EVENT[part]


def _leads(supports: NDArray[np.bool_], event_item: Indices) -> tuple[Indices, Indices]:
    """Return the place of the first cited event that speaks for the row (-1 for none), and how many other items do."""
    lead = np.where(supports.any(axis=1), supports.argmax(axis=1), -1)
    first_of_item = supports.copy()
    for place in range(1, supports.shape[1]):
        seen = (supports[:, :place] & (event_item[:, :place] == event_item[:, place, None])).any(axis=1)
        first_of_item[:, place] &= ~seen
    return lead, np.maximum(first_of_item.sum(axis=1) - 1, 0)


def _times(block: Block, catalogue: Catalogue, user: Indices, item: Indices) -> Indices:
    history = block.history
    if not history.user.size:
        return np.zeros(user.size, dtype=np.int64)
    known = pair_keys(history.user, history.item, catalogue.size)
    keys = pair_keys(user, item, catalogue.size)
    place = np.minimum(np.searchsorted(known, keys), known.size - 1)
    return np.where(known[place] == keys, history.events[place], 0)

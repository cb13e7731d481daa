"""The sentence that says why: it names the largest part of the score and, where events support it, titles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tideline.ranking.because import LINEAR_PARTS, Cited
from tideline.ranking.catalogue import Catalogue
from tideline.ranking.events import LIKE, Events
from tideline.ranking.learned.past import Indices
from tideline.ranking.learned.ranking import Parts

PAST = {"purchase": "bought", "rating": "rated", "review": "reviewed", "view": "viewed"}
PRESENT = {"purchase": "buy", "rating": "rate", "review": "review", "view": "view"}
REGULAR = 3
"""Events with an item from which the user is said to choose it regularly."""
SPEAK_OF_THE_ITEM = ("own_history", "rhythm")
SPEAK_OF_EVENTS = ("long", "short", "fused", "co_occurrence", "text_near")
SILENT = ("base", "user", "rules")
"""Parts that say nothing about the item."""
WITHOUT_EVENT = {
    "long": "Close to what you have liked over time",
    "short": "Close to what you like now",
    "fused": "Close to what you like",
    "text_near": "Like what you have chosen",
    "co_occurrence": "Chosen by people who choose what you do",
    "category": "Popular in a category that you choose from",
    "popularity": "Popular with everyone",
    "": "Completes the list: nothing more is known yet",
}
NEW = "New here: shown to find out whom it is for"


def write_reasons(
    events: Events,
    catalogue: Catalogue,
    trend_days: float,
    user: Indices,
    item: Indices,
    parts: Parts,
    cited: Cited,
    explored: NDArray[np.bool_],
) -> list[str]:
    """Write one sentence a row, by its largest part; where none is positive the sentence says so.

    Strings are made one at a time, at some two microseconds a row.

    Parameters
    ----------
    explored
        [rows] whether the item is there to find out whom it is for.
    """
    names = [name for name in parts if name not in SILENT]
    matrix = np.stack([parts[name] for name in names], axis=1) if names else np.zeros((user.size, 1))
    largest = np.where(matrix.max(axis=1, initial=0.0) > 0, matrix.argmax(axis=1), len(names))
    names.append("")
    listed = len(events.kind) > 0
    event = np.maximum(cited.event, 0)
    event_item = np.where(cited.event >= 0, events.item[event], -1) if listed else np.full(event.shape, -1)
    speaks = (cited.event >= 0) & (cited.part != LINEAR_PARTS.index("own_history")) & (cited.contribution > 0)
    leads, others = _leads(speaks, event_item)
    rows = np.arange(user.size)
    lead_item = event_item[rows, np.maximum(leads, 0)]
    titles = catalogue.title.take(pa.array(np.maximum(lead_item, 0))).to_pylist() if listed else [None] * user.size
    types = events.event_type.take(pa.array(event[rows, np.maximum(leads, 0)])).to_pylist() if listed else titles
    own_type, times = _own(events, user, item)
    # An event with the very item is told as such, whichever part it supports.
    itself = (leads >= 0) & (lead_item == item)
    return [
        NEW if new else
        _sentence(names[part], lead, None if of < 0 else title, kind, other, own, count, same, trend_days)
        for new, part, lead, of, title, kind, other, own, count, same in zip(
            explored.tolist(), largest.tolist(), leads.tolist(), lead_item.tolist(), titles, types, others.tolist(),
            own_type, times.tolist(), itself.tolist(), strict=True,
        )
    ]  # fmt: skip


def _sentence(
    part: str, lead: int, title: str | None, kind: str | None, others: int, own: str | None, times: int, itself: bool,
    trend_days: float,
) -> str:  # fmt: skip
    if times and (part in SPEAK_OF_THE_ITEM or (part in SPEAK_OF_EVENTS and itself)):
        if times >= REGULAR:
            return f"You {PRESENT.get(own or '', 'choose')} this regularly ({times} times)"
        return f"You {PAST.get(own or '', 'chose')} this before"
    if part in SPEAK_OF_EVENTS and lead >= 0:
        verb = f"you {PAST.get(kind or '', 'chose')} {title}" if title is not None else "of your search"
        return f"Because {verb}" + (f" and {others} other{'s' if others > 1 else ''}" if others else "")
    if part == "trend":
        return "Popular this week" if trend_days == 7 else f"Popular in the last {trend_days:g} days"
    return WITHOUT_EVENT.get(part, WITHOUT_EVENT[""])


def _leads(supports: NDArray[np.bool_], event_item: Indices) -> tuple[Indices, Indices]:
    """Return the place of the first cited event that speaks for the row (-1 for none), and how many other items do."""
    lead = np.where(supports.any(axis=1), supports.argmax(axis=1), -1)
    first_of_item = supports.copy()
    for place in range(1, supports.shape[1]):
        seen = (supports[:, :place] & (event_item[:, :place] == event_item[:, place, None])).any(axis=1)
        first_of_item[:, place] &= ~seen
    return lead, np.maximum(first_of_item.sum(axis=1) - 1, 0)


def _own(events: Events, user: Indices, item: Indices) -> tuple[list[str | None], Indices]:
    """Return the type of the user's last event with the item, None without, and how many events he had with it."""
    if not len(events.kind):
        return [None] * user.size, np.zeros(user.size, dtype=np.int64)
    pairs = np.flatnonzero(events.kind == LIKE)
    owner = np.repeat(np.arange(len(events.starts) - 1), np.diff(events.starts))[pairs]
    size = np.int64(max(int(events.item.max(initial=0)), int(item.max(initial=0))) + 1)
    keys = owner * size + events.item[pairs]
    order = np.argsort(keys)
    if not keys.size:
        return [None] * user.size, np.zeros(user.size, dtype=np.int64)
    wanted = user * size + item
    place = np.minimum(np.searchsorted(keys[order], wanted), keys.size - 1)
    known = keys[order][place] == wanted
    row = pairs[order][place]
    types = events.event_type.take(pa.array(row))
    return pc.if_else(pa.array(known), types, None).to_pylist(), np.where(known, events.times[row], 0)

"""What changed in a user's list from one generation to another, and what moved it."""

from __future__ import annotations

from tideline.changes.events import EventChange, compare_events
from tideline.changes.listing import Citation, Event, ItemState, Listing, Row
from tideline.changes.moves import Move, explain
from tideline.changes.reading import read_two

__all__ = [
    "Citation",
    "Event",
    "EventChange",
    "ItemState",
    "Listing",
    "Move",
    "Row",
    "compare_events",
    "explain",
    "read_two",
]

"""Which events of the user a later list knows and an earlier one did not, and which were taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tideline.changes.listing import Event, Listing


@dataclass(frozen=True)
class EventChange:
    """Events that came or went between two lists."""

    new: Mapping[str, Event]
    """By id, by time. Late ones too: what counts is that the earlier list did not know them."""
    gone: Mapping[str, Event]
    """Taken back or corrected."""
    exact: bool
    """Whether both lists of events were at hand. If not, `new` holds only what the rows themselves prove."""
    changed: bool | None
    """Whether there was any; None: it cannot be known."""


def compare_events(before: Listing, after: Listing) -> EventChange:
    """Compare the events of two lists of one user: exactly by their ids, else by what the rows cite.

    Without a run's own tables, an event that is cited at or after the earlier `as_of` is surely new; so is some event
    if the last one is. A late event, or one that was taken back, cannot be told then.
    """
    if before.events is not None and after.events is not None:
        new = _ordered({key: event for key, event in after.events.items() if key not in before.events})
        # Nothing takes a search back: one that is missing left the windows by its age.
        gone = _ordered(
            {key: event for key, event in before.events.items() if event.item_id and key not in after.events}
        )
        return EventChange(new, gone, True, bool(new or gone))
    cited = {cite.event.event_id: cite.event for row in after.rows for cite in row.cites}
    if before.events is not None:
        # A cited event is the user's own and before `as_of`: one that the complete list lacks is new.
        new = _ordered({key: event for key, event in cited.items() if key not in before.events})
    else:
        new = _ordered({key: event for key, event in cited.items() if event.event_at >= before.as_of})
    surely = bool(new) or (after.last_event_at is not None and after.last_event_at >= before.as_of)
    surely = surely or (before.last_event_at != after.last_event_at)
    missing: dict[str, Event] = {}
    if after.events is not None:
        known = {cite.event.event_id: cite.event for row in before.rows for cite in row.cites}
        missing = _ordered({key: event for key, event in known.items() if event.item_id and key not in after.events})
    return EventChange(new, missing, False, True if surely or missing else None)


def _ordered(events: Mapping[str, Event]) -> dict[str, Event]:
    return dict(sorted(events.items(), key=lambda pair: (pair[1].event_at, pair[0])))

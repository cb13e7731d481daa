"""What a row's own data say of why it moved: catalogue, rules, model, its cited events, the parts of its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tideline.changes.events import EventChange
from tideline.changes.listing import Event, Listing, Row

EVENTS, ITEMS, RULES, MODEL, EVERYONE, TIME = "events", "items", "rules", "model", "everyone", "time"
OWN_UNKNOWN = "events or time"
"""The user's own parts moved, and whether he had new events cannot be known any more."""
UNKNOWN = "unknown"
COMMON_PARTS = ("popularity", "trend")
"""Parts that rest on everybody's events alone."""
MIXED_PARTS = ("co_occurrence", "category")
"""Parts that rest on the user's events and on everybody's: with the same own events, everybody's moved them."""
LEAST = 1e-9
"""A smaller difference is rounding."""


@dataclass(frozen=True)
class Own:
    """What a row's own data say: the cause, None where they say nothing, and the figures of it in a few words."""

    cause: str | None
    detail: str = ""


def own_cause(item: str, before: Listing, after: Listing, events: EventChange) -> Own:
    """Return what the catalogue, the rules, the model and the score of an item of either list say.

    Of a row of both lists it is the cause with the largest sum of differences of parts, unless rules or model differ.
    """
    first, second = before.by_item.get(item), after.by_item.get(item)
    if first and second:
        if rules := _ruled(first, second):
            return Own(RULES, f"rules that differ: {', '.join(rules)}")
        if before.model_version != after.model_version:
            return Own(MODEL, "another model: the scores have two scales")
        return _largest(part_gains(first, second), before, after, events)
    stayed, came = (before, after) if second is None else (after, before)
    told = _catalogue(item, came, stayed, left=second is None)
    row = first or second
    assert row is not None
    if told:
        return Own(ITEMS, told)
    shifted, on_it = (events.gone, events.new) if second is None else (events.new, events.gone)
    if touching := [event for event in on_it.values() if event.item_id == item]:
        verb = "new" if second is None else "taken back"
        return Own(EVENTS, f"{verb}: {_name(touching[-1])} of this very item")
    if cited := [cite for cite in row.cites if cite.event.event_id in shifted]:
        verb = "taken back" if second is None else "new"
        share = sum(cite.contribution for cite in cited)
        return Own(EVENTS, f"cites {len(cited)} {verb}, {share:+.3f}: {_name(cited[0].event)}")
    if any(rule == "exploration" for rule, _ in row.rules):
        return Own(RULES, "a place of exploration, drawn anew at each as_of")
    if before.model_version != after.model_version:
        return Own(MODEL, "another model: the scores have two scales")
    return Own(None)


def _catalogue(item: str, other: Listing, listed: Listing, *, left: bool) -> str:
    """Say why an item could not stand in `other`; empty if it could, or if that cannot be known."""
    state, mine = other.items.get(item), listed.items.get(item)
    if state is None:
        return "no longer in the catalogue" if left else "new in the catalogue"
    if not state.available:
        return "can no longer be had" if left else "can be had now"
    if state.blocked and not (mine and mine.blocked):
        return "blocked now" if left else "no longer blocked"
    return ""


def _largest(gains: Mapping[str, float], before: Listing, after: Listing, events: EventChange) -> Own:
    totals: dict[str, float] = {}
    for part, value in gains.items():
        cause = _cause_of(part, before, after, events)
        totals[cause] = totals.get(cause, 0.0) + value
    if not totals:
        return Own(None)
    cause = max(totals, key=lambda name: (abs(totals[name]), name))
    return (
        Own(cause, f"{totals[cause]:+.3f} of {sum(gains.values()):+.3f}") if abs(totals[cause]) > LEAST else Own(None)
    )


def _cause_of(part: str, before: Listing, after: Listing, events: EventChange) -> str:
    if part in COMMON_PARTS:
        return EVERYONE
    if part == "rules":
        return RULES
    if part == "base":
        return MODEL
    if events.changed:
        return EVENTS
    if events.changed is None:
        return OWN_UNKNOWN
    # The same events: they grew older, or what others chose gave them another meaning.
    return EVERYONE if part in MIXED_PARTS or before.as_of == after.as_of else TIME


def _ruled(first: Row, second: Row) -> list[str]:
    """Return the rules that differ. Where a moved row stood before the rule is told with it, and is no rule itself."""
    kept = [
        {(rule, effect if rule == "boost" else "") for rule, effect in row.rules if rule != "score"}
        for row in (first, second)
    ]
    return sorted({rule for rule, _ in kept[0] ^ kept[1]})


def part_gains(first: Row, second: Row) -> dict[str, float]:
    """Return the difference of each part that changed, the largest first; a part that a row lacks counts 0."""
    parts = {*first.parts, *second.parts}
    gains = {part: second.parts.get(part, 0.0) - first.parts.get(part, 0.0) for part in parts}
    return dict(sorted(((p, g) for p, g in gains.items() if abs(g) > LEAST), key=lambda pair: (-abs(pair[1]), pair[0])))


def _name(event: Event) -> str:
    return f"{event.event_type} of {event.event_at:%Y-%m-%d %H:%M}"

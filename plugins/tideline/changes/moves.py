"""Which ranks moved, and the largest cause of each: a pure function of two lists of one user.

A row that stands in both lists has two scores whose parts can be compared; a row that stands in one has only one score,
so its cause is what the catalogue, the rules or its cited events prove, or a bound. A rank can also move because
others did: each row that changed sides with it is laid to whichever of the two scores changed more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tideline.changes.events import EventChange, compare_events
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
class Move:
    """One row that moved."""

    item_id: str
    before: int | None
    """Rank; None where it was not listed."""
    after: int | None
    cause: str
    detail: str
    gains: Mapping[str, float]
    """Difference of each part that moved, the largest first; empty for a row of one list."""
    gain: float | None
    """Difference of the scores; None for a row of one list."""


@dataclass(frozen=True)
class _Own:
    """What a row's own data say of its cause; `cause` is None where they say nothing."""

    cause: str | None
    detail: str = ""


def explain(before: Listing, after: Listing) -> list[Move]:
    """Name the largest cause of every rank that moved.

    Returns
    -------
    list of Move
        First the rows of the later list by rank, then those that left by their rank before. Rows whose rank stayed
        are left out.
    """
    events = compare_events(before, after)
    own = {item: _own(item, before, after, events) for item in before.by_item | after.by_item}
    order = [row.item_id for row in after.rows]
    order += [row.item_id for row in before.rows if row.item_id not in after.by_item]
    moves = []
    for item in order:
        first, second = before.by_item.get(item), after.by_item.get(item)
        if first and second and first.rank == second.rank:
            continue
        gains = _gains(first, second) if first and second else {}
        found = _settle(item, own, before, after)
        moves.append(
            Move(
                item_id=item,
                before=first.rank if first else None,
                after=second.rank if second else None,
                cause=found.cause or UNKNOWN,
                detail=found.detail,
                gains=gains,
                gain=second.score - first.score if first and second else None,
            )
        )
    return moves


def _own(item: str, before: Listing, after: Listing, events: EventChange) -> _Own:
    """Return what the catalogue, the rules, the model and the score of a row itself say."""
    first, second = before.by_item.get(item), after.by_item.get(item)
    if first and second:
        if rules := _ruled(first, second):
            return _Own(RULES, f"rules that differ: {', '.join(rules)}")
        if before.model_version != after.model_version:
            return _Own(MODEL, "another model: the scores have two scales")
        return _largest(_gains(first, second), before, after, events)
    stayed, came = (before, after) if second is None else (after, before)
    told = _catalogue(item, came, stayed, left=second is None)
    row = first or second
    assert row is not None
    if told:
        return _Own(ITEMS, told)
    shifted, on_it = (events.gone, events.new) if second is None else (events.new, events.gone)
    if touching := [event for event in on_it.values() if event.item_id == item]:
        verb = "new" if second is None else "taken back"
        return _Own(EVENTS, f"{verb}: {_name(touching[-1])} of this very item")
    if cited := [cite for cite in row.cites if cite.event.event_id in shifted]:
        verb = "taken back" if second is None else "new"
        share = sum(cite.contribution for cite in cited)
        return _Own(EVENTS, f"cites {len(cited)} {verb}, {share:+.3f}: {_name(cited[0].event)}")
    if any(rule == "exploration" for rule, _ in row.rules):
        return _Own(RULES, "a place of exploration, drawn anew at each as_of")
    if before.model_version != after.model_version:
        return _Own(MODEL, "another model: the scores have two scales")
    return _Own(None)


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


def _largest(gains: Mapping[str, float], before: Listing, after: Listing, events: EventChange) -> _Own:
    totals: dict[str, float] = {}
    for part, value in gains.items():
        cause = _cause_of(part, before, after, events)
        totals[cause] = totals.get(cause, 0.0) + value
    if not totals:
        return _Own(None)
    cause = max(totals, key=lambda name: (abs(totals[name]), name))
    return (
        _Own(cause, f"{totals[cause]:+.3f} of {sum(gains.values()):+.3f}") if abs(totals[cause]) > LEAST else _Own(None)
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


def _gains(first: Row, second: Row) -> dict[str, float]:
    parts = {*first.parts, *second.parts}
    gains = {part: second.parts.get(part, 0.0) - first.parts.get(part, 0.0) for part in parts}
    return dict(sorted(((p, g) for p, g in gains.items() if abs(g) > LEAST), key=lambda pair: (-abs(pair[1]), pair[0])))


def _settle(item: str, own: Mapping[str, _Own], before: Listing, after: Listing) -> _Own:
    """Return the cause of a moved row: its own, or that of those which changed sides with it."""
    first, second = before.by_item.get(item), after.by_item.get(item)
    mine = own[item]
    if mine.cause in (ITEMS, RULES, MODEL) or (mine.cause and not (first and second)):
        return mine
    if not (first and second):
        if bound := _bound(first, second, before, after):
            return _Own(UNKNOWN, bound)
        blamed = [
            other for other in _crossers(item, before, after) if (other in before.by_item) != (other in after.by_item)
        ]
    else:
        crossers = _crossers(item, before, after)
        blamed = [other for other in crossers if _moved_it(other, first, second, own, before, after)]
        if mine.cause and 2 * len(blamed) <= len(crossers):
            return mine
    causes = Counter(own[other].cause or UNKNOWN for other in blamed)
    if not causes:
        return mine
    cause = min(causes, key=lambda name: (-causes[name], name == UNKNOWN))
    chosen = next(other for other in blamed if (own[other].cause or UNKNOWN) == cause)
    state = after.items.get(chosen) or before.items.get(chosen)
    title = (state.title if state else None) or chosen
    return _Own(cause, f"by {len(blamed)} row{'s' if len(blamed) > 1 else ''} around, as {title}")


def _bound(first: Row | None, second: Row | None, before: Listing, after: Listing) -> str:
    """Say by how much at least the score of a row of one list changed; empty where the place alone may explain it."""
    row, other = (first, after) if first else (second, before)
    if row is None or not other.rows:
        return ""
    margin = row.score - other.rows[-1].score
    if margin <= LEAST:
        return ""
    way = "fell" if first else "rose"
    return f"{way} by at least {margin:.3f}"


def _crossers(item: str, before: Listing, after: Listing) -> list[str]:
    """Return the items on whose other side `item` came by its move, nearest to the top first.

    Only in the direction of the move: of a row that rose, those that stood above it. Two rows that are both missing
    from a list stand on no side of each other there.
    """
    first, second = ({row.item_id: row.rank for row in listing.rows} for listing in (before, after))
    beyond = 1 + len(before.rows) + len(after.rows)
    rose = second.get(item, beyond) < first.get(item, beyond)
    near, far = (second, first) if rose else (first, second)
    # In `near` the item stands higher: whatever is below it there, or gone, stood above it in `far`.
    found = [
        other
        for other, rank in far.items()
        if other != item and rank < far.get(item, beyond) and near.get(other, beyond) > near.get(item, beyond)
    ]
    return sorted(found, key=lambda other: min(first.get(other, beyond), second.get(other, beyond)))


def _moved_it(other: str, first: Row, second: Row, own: Mapping[str, _Own], before: Listing, after: Listing) -> bool:
    """Whether a row that changed sides with a row of both lists did it: its score changed more, or it had to go."""
    fell = before.by_item.get(other) is None or (other in after.by_item and after.by_item[other].rank < second.rank)
    change = second.score - first.score
    if change >= 0 if fell else change <= 0:
        return True  # the row itself went the other way, so it was overtaken, or what stood above it fell
    theirs, now = before.by_item.get(other), after.by_item.get(other)
    if theirs and now:
        return abs(now.score - theirs.score) > abs(change)
    if own[other].cause in (ITEMS, RULES):
        return True
    row, rest = (theirs, after) if theirs else (now, before)
    assert row is not None
    return row.score - rest.rows[-1].score > abs(change)


def _name(event: Event) -> str:
    return f"{event.event_type} of {event.event_at:%Y-%m-%d %H:%M}"

"""Which ranks moved, and the largest cause of each: a pure function of two lists of one user.

A row that stands in both lists has two scores whose parts can be compared; a row that stands in one has only one score,
so its cause is what the catalogue, the rules or its cited events prove, or a bound. A rank can also move because
others did: each row that changed sides with it is laid to whichever of the two scores changed more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tideline.changes.events import compare_events
from tideline.changes.listing import Listing, Row
from tideline.changes.own import ITEMS, LEAST, MODEL, RULES, UNKNOWN, Own, own_cause, part_gains


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


def explain(before: Listing, after: Listing) -> list[Move]:
    """Name the largest cause of every rank that moved.

    Returns
    -------
    list of Move
        First the rows of the later list by rank, then those that left by their rank before. Rows whose rank stayed
        are left out.
    """
    events = compare_events(before, after)
    own = {item: own_cause(item, before, after, events) for item in before.by_item | after.by_item}
    order = [row.item_id for row in after.rows]
    order += [row.item_id for row in before.rows if row.item_id not in after.by_item]
    moves = []
    for item in order:
        first, second = before.by_item.get(item), after.by_item.get(item)
        if first and second and first.rank == second.rank:
            continue
        gains = part_gains(first, second) if first and second else {}
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


def _settle(item: str, own: Mapping[str, Own], before: Listing, after: Listing) -> Own:
    """Return the cause of a moved row: its own, or that of those which changed sides with it."""
    first, second = before.by_item.get(item), after.by_item.get(item)
    mine = own[item]
    if mine.cause in (ITEMS, RULES, MODEL) or (mine.cause and not (first and second)):
        return mine
    if not (first and second):
        if bound := _bound(first, second, before, after):
            return Own(UNKNOWN, bound)
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
    return Own(cause, f"by {len(blamed)} row{'s' if len(blamed) > 1 else ''} around, as {title}")


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


def _moved_it(other: str, first: Row, second: Row, own: Mapping[str, Own], before: Listing, after: Listing) -> bool:
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

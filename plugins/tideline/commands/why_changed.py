"""`make why-changed`: which ranks of a user moved between two generations, and what moved each."""

from __future__ import annotations

from collections.abc import Iterable

from embeddings.settings import Settings
from tideline.changes import Event, EventChange, Listing, Move, compare_events, explain, read_two

EVENTS_SHOWN = 20
PARTS_SHOWN = 3
WIDTH = 160
COLUMNS = {"rank": 8, "item": 32, "score": 7, "cause": 14, "how": 44, "parts": 36}
"""Columns of the table and their widths."""


def why_changed(settings: Settings, user: str, earlier: str | None, later: str | None) -> None:
    """Print what changed in a user's list, one line a row that moved.

    Parameters
    ----------
    earlier, later
        Kept generations; None: see `read_two`.

    Raises
    ------
    NothingPublishedError, ValueError
        If a generation is not kept or has no rows of the user; the message says what to do.
    """
    before, after = read_two(settings, user, earlier, later)
    if before.layer == after.layer:
        print(f"Both show user {user} the rows of generation {after.layer}: nothing moved.")
        return
    events, moves = compare_events(before, after), explain(before, after)
    for label, listing in (("from", before), ("to  ", after)):
        print(f"{label} {_name(listing)}, as of {listing.as_of:%Y-%m-%d %H:%M}, {listing.model_version}")
    for line in (*_differences(before, after), *_events(events, before, after), *_not_known(events, before, after)):
        print(line)
    _print_moves(user, moves, before, after)


def _name(listing: Listing) -> str:
    return listing.layer if listing.layer == listing.snapshot else f"{listing.layer} (in {listing.snapshot})"


def _differences(before: Listing, after: Listing) -> Iterable[str]:
    if before.model_version != after.model_version:
        yield "The model differs: scores of two models have two scales, and differences of parts say little."
    names = sorted(name for name in {**before.vars, **after.vars} if before.vars.get(name) != after.vars.get(name))
    if names:
        told = (f"{name} {before.vars.get(name, 'as set')} -> {after.vars.get(name, 'as set')}" for name in names)
        yield f"Settings that differ: {'; '.join(told)}"


def _events(events: EventChange, before: Listing, after: Listing) -> Iterable[str]:
    for label, found, listing, verb in (
        ("new", events.new, after, "cited by rank"),
        ("taken back", events.gone, before, "was cited by rank"),
    ):
        if found:
            yield f"Events {label}: {len(found)}"
        for event in list(found.values())[-EVENTS_SHOWN:]:
            ranks = [str(row.rank) for row in listing.rows if event in [cite.event for cite in row.cites]]
            yield f"  {_event(event, after, before)}{f', {verb} ' + ', '.join(ranks) if ranks else ', cited by no row'}"
        if len(found) > EVENTS_SHOWN:
            yield f"  and {len(found) - EVENTS_SHOWN} earlier ones"
    if events.exact and not events.changed:
        yield "Events: the same in both."


def _event(event: Event, *listings: Listing) -> str:
    item = next((_title(event.item_id, lists) for lists in listings if event.item_id in lists.items), event.item_id)
    return f"{event.event_at:%Y-%m-%d %H:%M} {event.event_type} {item or '(a search)'}"


def _not_known(events: EventChange, before: Listing, after: Listing) -> Iterable[str]:
    lost = [listing.layer for listing in (before, after) if listing.events is None]
    if lost:
        yield (
            f"Not known: the tables of the run of {' and '.join(lost)} are not kept. So events that were late or "
            "taken back cannot be told, nor can blocked items; of an hour, items are those of its night."
        )
    if events.changed is None:
        yield "Not known: whether the user had new events. No row cites one, and the last event is the same."


def _print_moves(user: str, moves: list[Move], before: Listing, after: Listing) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    stayed = sum(1 for row in after.rows if row.item_id in before.by_item) - sum(
        1 for move in moves if move.before and move.after
    )
    if not moves:
        print(f"No rank of user {user} moved; {stayed} rows are where they were.")
        return
    title = f"User {user}: {len(moves)} moved, {stayed} stayed"
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    # One line a row: what is too long is cut.
    for name, width in COLUMNS.items():
        table.add_column(name, justify="right" if name == "score" else "left", no_wrap=True, width=width)
    for move in moves:
        table.add_row(
            f"{move.before or '-':>2} -> {move.after or '-':>2}",
            escape(_title(move.item_id, after if move.item_id in after.items else before)),
            "" if move.gain is None else f"{move.gain:+.3f}",
            move.cause,
            escape(move.detail),
            ", ".join(f"{part} {gain:+.3f}" for part, gain in list(move.gains.items())[:PARTS_SHOWN]),
        )
    console = Console()
    Console(width=max(console.width, WIDTH)).print(table)


def _title(item: str | None, listing: Listing) -> str:
    state = listing.items.get(item or "")
    return (state.title if state else None) or item or ""

"""Read a user's lists from kept snapshots, and what is still there of the runs that made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from embeddings.settings import Settings
from tideline.changes.listing import Citation, Event, ItemState, Listing, Row
from tideline.serving.manifest import list_manifests, read_manifest
from tideline.serving.pointer import NothingPublishedError, current_snapshot, serving_folder
from tideline.serving.readers import connect

ROWS = """
select rank, item_id, score, score_parts, rules, because, model_version, as_of, generation
from recommendations where user_id = $user order by rank
"""
PUBLISHED_ITEMS = """
select item_id, title, coalesce(available_from <= $as_of, true) and coalesce(available_until > $as_of, true), null
from items where list_contains($items, item_id)
"""
RUN_ITEMS = """
select item_id, title, is_available, is_blocked from read_parquet($files) where list_contains($items, item_id)
"""
# Searches have no item and stand in the windows only.
RUN_EVENTS = """
select distinct event_id, item_id, event_type, event_at
from read_parquet($files, union_by_name = true) where user_id = $user
"""
EVENT_TABLES = ("user_events", "long_window_behaviour", "short_window_behaviour")


def read_two(
    settings: Settings, user: str, earlier: str | None = None, later: str | None = None
) -> tuple[Listing, Listing]:
    """Read the lists of a user in two kept generations.

    Parameters
    ----------
    later
        A kept generation; None: the current one.
    earlier
        A kept generation; None: the newest one committed before `later` that shows the user other rows.

    Raises
    ------
    NothingPublishedError
        If a generation is not kept, or nothing is published.
    ValueError
        If a generation's name has not the form of one, or has no rows of the user, or no earlier one is kept.
    """
    later = later or _current(settings)
    after = _rows(settings, user, later)
    if not after:
        raise ValueError(f"generation {later} has no rows of user {user!r}: name another, TO=...")
    if earlier:
        before = _rows(settings, user, earlier)
        if not before:
            raise ValueError(f"generation {earlier} has no rows of user {user!r}: name another, FROM=...")
    else:
        earlier, before = _other_rows(settings, user, later, after[0]["generation"])
    items = sorted({row["item_id"] for row in (*before, *after)})
    return (
        _listing(settings, user, earlier, before, items),
        _listing(settings, user, later, after, items),
    )


def _current(settings: Settings) -> str:
    current = current_snapshot(serving_folder(settings.root))
    if current is None:
        raise NothingPublishedError(f"nothing is published below {settings.root} yet: run `make run` first")
    return current.generation


def _other_rows(settings: Settings, user: str, later: str, layer: str) -> tuple[str, list[dict[str, Any]]]:
    entry = read_manifest(later, settings.root)
    fence = entry.fence if entry else 0
    # What was only stored was never shown to anybody: it must be asked for by name.
    earlier = [known for known in list_manifests(settings.root) if known.committed and known.fence < fence]
    for known in sorted(earlier, key=lambda known: -known.fence):
        try:
            rows = _rows(settings, user, known.generation)
        except NothingPublishedError:
            continue  # retention took its snapshot
        if rows and rows[0]["generation"] != layer:
            return known.generation, rows
    raise ValueError(
        f"no kept generation before {later} has other rows of user {user!r}: "
        "raise TIDELINE_KEEP_GENERATIONS, or name one, FROM=..."
    )


def _rows(settings: Settings, user: str, generation: str) -> list[dict[str, Any]]:
    with connect(settings, generation) as published:
        return _records(published.execute(ROWS, {"user": user}))


def _listing(settings: Settings, user: str, snapshot: str, rows: list[dict[str, Any]], items: Iterable[str]) -> Listing:
    first = rows[0]
    tables, given = _of_run(settings.root, first["generation"])
    states = _run_items(tables, items)
    with connect(settings, snapshot) as published:
        if states is None:
            states = published.execute(PUBLISHED_ITEMS, {"as_of": first["as_of"], "items": list(items)}).fetchall()
        last = published.execute(
            "select max(last_event_at) from user_interests where user_id = $user", {"user": user}
        ).fetchone()
    return Listing(
        snapshot=snapshot,
        layer=first["generation"],
        as_of=first["as_of"],
        model_version=first["model_version"],
        rows=tuple(_row(row) for row in rows),
        items={item: ItemState(title, available, blocked) for item, title, available, blocked in states},
        events=_run_events(tables, user),
        last_event_at=last[0] if last else None,
        vars=given,
    )


def _of_run(root: Path, generation: str) -> tuple[Path | None, Mapping[str, object]]:
    """Return the folder of the tables of the run that made a generation, None where retention took it, and its vars."""
    entry = read_manifest(generation, root)
    if entry is None:
        return None, {}
    tables = root / "runs" / entry.run_id / "tables"
    return tables if tables.is_dir() else None, entry.vars


def _run_items(tables: Path | None, items: Iterable[str]) -> list[tuple[Any, ...]] | None:
    return _ask(tables, ("dim_items",), RUN_ITEMS, {"items": list(items)})


def _run_events(tables: Path | None, user: str) -> dict[str, Event] | None:
    found = _ask(tables, EVENT_TABLES, RUN_EVENTS, {"user": user})
    return None if found is None else {row[0]: Event(*row) for row in found}


def _ask(
    tables: Path | None, names: tuple[str, ...], query: str, bound: Mapping[str, object]
) -> list[tuple[Any, ...]] | None:
    """Ask the Parquet files of a run; None if one is gone, or goes while it is read."""
    files = [tables / f"{name}.parquet" for name in names] if tables else []
    if not files or not all(file.exists() for file in files):
        return None
    try:
        with duckdb.connect() as connection:
            found: list[tuple[Any, ...]] = connection.execute(
                query, {"files": [str(file) for file in files], **bound}
            ).fetchall()
            return found
    except duckdb.IOException:
        return None


def _row(row: Mapping[str, Any]) -> Row:
    return Row(
        rank=row["rank"],
        item_id=row["item_id"],
        score=row["score"],
        parts={part["part"]: part["value"] for part in row["score_parts"]},
        rules=frozenset((rule["rule"], rule["effect"]) for rule in row["rules"]),
        cites=tuple(
            Citation(
                Event(cited["event_id"], cited["item_id"], cited["event_type"], cited["event_at"]),
                cited["part"],
                cited["contribution"],
            )
            for cited in row["because"]
        ),
    )


def _records(result: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

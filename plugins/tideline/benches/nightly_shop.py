"""A generated shop that lands: a year of events by month, and its items, as files of the source `canonical`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from embeddings.settings import Settings

SQL = Path(__file__).with_name("nightly_shop.sql")
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = 12


def land(landing: Path, settings: Settings, users: int, items: int, events: int) -> None:
    """Write `events/month-<n>.parquet` (12) and `items/items.parquet` below a landing folder.

    Users, items and events are those of `nightly_shop.sql`; who draws no event is nobody, so that a few users less
    than asked for are seen. Memory is bounded by the month.

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    import duckdb

    if min(users, items, events) < 1:
        raise ValueError(f"users, items and events must be at least 1, got {users}, {items} and {events}")
    for folder in ("events", "items"):
        (landing / folder).mkdir(parents=True)
    config = {"threads": settings.threads, "memory_limit": settings.memory_limit, "preserve_insertion_order": False}
    with duckdb.connect(config=config) as connection:
        connection.execute("set enable_progress_bar = false")
        given = {"users": users, "items": items, "events": events, "as_of": AS_OF.replace(tzinfo=None)}
        for name, value in given.items():
            connection.execute(f"set variable {name} = ?", [value])
        connection.execute(SQL.read_text())
        _copy(connection, "from items order by item_id", landing / "items" / "items.parquet")
        for month in range(MONTHS):
            for name, part in (("first", month), ("last", month + 1)):
                connection.execute(f"set variable {name} = ?", [events * part // MONTHS])
            _copy(connection, "from events", landing / "events" / f"month-{month + 1:02}.parquet")


def _copy(connection: object, query: str, file: Path) -> None:
    target = str(file).replace("'", "''")
    connection.execute(f"copy ({query}) to '{target}' (format parquet, compression zstd)")  # type: ignore[attr-defined]

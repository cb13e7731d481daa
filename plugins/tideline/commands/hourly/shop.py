"""A made-up shop for the hour: what its users did in the year before a night, and what some of them do in an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

SQL = Path(__file__).with_name("shop.sql")
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
"""End of the night that is there before the hours."""
DAYS = 365
FILES = 12
"""Files of events that landed before the night."""
IN_AN_HOUR = 3
"""Events of an active user in an hour."""


def land_year(landing: Path, users: int, items: int, each: int) -> None:
    """Land `items`, and `each` events of every user on average, of `DAYS` days before `AS_OF`, in `FILES` files."""
    for folder in ("events", "items"):
        (landing / folder).mkdir(parents=True)
    given = {"users": users, "items": items, "events": users * each, "days": DAYS, "as_of": AS_OF}
    with _connect(given) as connection:
        connection.execute(f"copy (from items order by item_id) to {_text(landing / 'items' / 'items.parquet')}")
        for number in range(FILES):
            chosen = f"from year where event_at >= $start and event_at < $end order by event_at, user_id"
            length = timedelta(days=DAYS) / FILES
            times = {"start": AS_OF - (FILES - number) * length, "end": AS_OF - (FILES - 1 - number) * length}
            connection.execute(
                f"copy ({chosen}) to {_text(landing / 'events' / f'year-{number:02}.parquet')}",
                {name: moment.replace(tzinfo=None) for name, moment in times.items()},
            )


def land_hour(landing: Path, number: int, users: int, items: int, active: int) -> datetime:
    """Land what `active` of `users` users did in the hour `number` (from 1) after `AS_OF`; return the hour's end.

    One event in ten is a search with words that nobody has used before.
    """
    start = AS_OF + timedelta(hours=number - 1)
    given = {"users": users, "items": items, "active": active, "each": IN_AN_HOUR, "number": number, "as_of": start}
    with _connect(given) as connection:
        file = landing / "events" / f"hour-{number:02}.parquet"
        connection.execute(f"copy (from hour order by event_at, user_id) to {_text(file)}")
    return start + timedelta(hours=1)


def _connect(given: dict[str, int | datetime]):  # type: ignore[no-untyped-def]
    """Open a database that has the views of the shop, for these numbers."""
    import duckdb

    connection = duckdb.connect(config={"threads": 2})
    for name, value in {"users": 0, "items": 0, "events": 0, "days": 0, "active": 0, "each": 0, "number": 0, **given}.items():
        connection.execute(f"set variable {name} = ?", [value.replace(tzinfo=None) if isinstance(value, datetime) else value])
    connection.execute(SQL.read_text())
    return connection


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

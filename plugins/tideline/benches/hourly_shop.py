"""A made-up shop for the hour: what its users did in the year before a night, and what some of them do in an hour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb

SQL = Path(__file__).with_name("hourly_shop.sql")
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
"""End of the night that is there before the hours."""
DAYS = 365
DELIVERIES = 28
"""Files of events that landed before the night, of a quarter of a day each; one more has the history before them."""
PREFIX = "customer-"
"""What all users' names begin with: more than the eight characters by which DuckDB tells blocks of text apart."""
IN_AN_HOUR = 3
"""Events of an active user in an hour."""
NUMBERS = ("users", "items", "events", "days", "active", "each", "number")


def land_year(landing: Path, users: int, items: int, each: int) -> None:
    """Land `items`, and `each` events of every user on average, of `DAYS` days before `AS_OF`."""
    for folder in ("events", "items"):
        (landing / folder).mkdir(parents=True)
    given: dict[str, int | datetime] = {
        "users": users,
        "items": items,
        "events": users * each,
        "days": DAYS,
        "as_of": AS_OF,
    }
    with _connect(given) as connection:
        connection.execute(f"copy (from items order by item_id) to {_text(landing / 'items' / 'items.parquet')}")
        for number, (start, end) in enumerate(pairwise(_ends())):
            chosen = "from year where event_at >= $start and event_at < $end order by event_at, user_id"
            times = {"start": start, "end": end}
            connection.execute(
                f"copy ({chosen}) to {_text(landing / 'events' / f'year-{number:02}.parquet')}",
                {name: moment.replace(tzinfo=None) for name, moment in times.items()},
            )


def land_hour(landing: Path, number: int, users: int, items: int, active: int) -> datetime:
    """Land what `active` of `users` users did in the hour `number` (from 1) after `AS_OF`; return the hour's end.

    One event in ten is a search with words that nobody has used before.
    """
    start = AS_OF + timedelta(hours=number - 1)
    given: dict[str, int | datetime] = {
        "users": users,
        "items": items,
        "active": active,
        "each": IN_AN_HOUR,
        "number": number,
        "as_of": start,
    }
    with _connect(given) as connection:
        file = landing / "events" / f"hour-{number:02}.parquet"
        connection.execute(f"copy (from hour order by event_at, user_id) to {_text(file)}")
    return start + timedelta(hours=1)


def landed_at(file: str) -> datetime:
    """Return when a file of the year would have landed in a shop that delivers what happened as it happens."""
    name = Path(file).stem
    return _ends()[int(name.partition("-")[2]) + 1] if name.startswith("year-") else _ends()[0]


def _ends() -> list[datetime]:
    """Return the instants between which files hold the events of the year."""
    quarter = timedelta(hours=6)
    return [AS_OF - timedelta(days=DAYS), *(AS_OF - number * quarter for number in range(DELIVERIES, -1, -1))]


def _connect(given: Mapping[str, int | datetime]) -> duckdb.DuckDBPyConnection:
    """Open a database that has the views of the shop, for these numbers."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("set variable prefix = ?", [PREFIX])
    for name, value in {**dict.fromkeys(NUMBERS, 0), **given}.items():
        plain = value.replace(tzinfo=None) if isinstance(value, datetime) else value
        connection.execute(f"set variable {name} = ?", [plain])
    connection.execute(SQL.read_text())
    return connection


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

"""A made-up shop for faults: what lands before each of its runs, with doubled, corrected and bad rows among it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tideline.window import Kind

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
WALKS: dict[str, tuple[Kind, datetime]] = {
    "training": ("training", AS_OF - timedelta(days=1)),
    "night": ("nightly", AS_OF),
    "hour": ("hourly", AS_OF + timedelta(hours=1)),
    "second hour": ("hourly", AS_OF + timedelta(hours=2)),
    "third hour": ("hourly", AS_OF + timedelta(hours=3)),
    "late night": ("nightly", AS_OF + timedelta(hours=1, minutes=30)),
    "next night": ("nightly", AS_OF + timedelta(days=1)),
    "night after": ("nightly", AS_OF + timedelta(days=2)),
}
"""Runs of the shop: what they are called here, their kind and the end of their window."""
UNDISTURBED = ("training", "night", "hour", "second hour", "third hour")
"""Those that are walked undisturbed first, in order; files land before each."""
USERS, ACTIVE = 24, 4
_THEMES = {
    "space": ("Starship atlas", "Orbital mechanics", "Moon base diary", "Comet hunters"),
    "garden": ("Rose pruning", "Compost at home", "Bee friendly beds", "Winter vegetables"),
    "kitchen": ("Cast iron pan", "Sourdough basket", "Chef knife", "Pasta machine"),
}


def deliver(landing: Path, walk: str) -> None:
    """Land the files that come before a run: the same bytes each time.

    Before the first run items and two files of events land: some rows of the second repeat an event id of the first
    with another value, and one row of each has no user. Before a later run one file lands, of the time since.
    """
    walks = list(UNDISTURBED)
    number = walks.index(walk)
    chance = random.Random(number)  # noqa: S311  not for secrets
    end = WALKS[walk][1]
    if not (landing / "items").exists():
        items = [
            {"item_id": f"{theme}-{n}", "title": title, "category": theme}
            for theme, titles in _THEMES.items()
            for n, title in enumerate(titles)
        ]
        _write(landing / "items" / "items.jsonl", items)
        first = _events(chance, range(USERS), end - timedelta(days=60), end, 8, "a")
        again = [{**row, "event_value": 2.0, "event_type": "purchase"} for row in first[::9]]
        _write(landing / "events" / "a.jsonl", [*first, {**first[0], "event_id": "a-bad", "user_id": None}])
        second = _events(chance, range(USERS), end - timedelta(days=30), end, 3, "b")
        _write(landing / "events" / "b.jsonl", [*second, *again, {**second[0], "event_id": "b-bad", "user_id": None}])
        return
    start = WALKS[walks[number - 1]][1]
    users = range(USERS) if number == 1 else range(USERS - ACTIVE - number, USERS - number)
    rows = _events(chance, users, start, end, 1, f"e{number}")
    rows.append({**rows[0], "event_id": f"e{number}-s", "item_id": None, "event_type": "search", "event_text": walk})
    _write(landing / "events" / f"{number}.jsonl", [*rows, {**rows[0], "event_id": f"e{number}-bad", "user_id": None}])


def deliver_rows(landing: Path, name: str, rows: int, walk: str) -> None:
    """Land one file with a number of events of the day before a run's end."""
    end = WALKS[walk][1]
    each = -(-rows // USERS)
    chance = random.Random(name)  # noqa: S311  not for secrets
    found = _events(chance, range(USERS), end - timedelta(days=1), end, each, name)
    _write(landing / "events" / f"{name}.jsonl", found[:rows])


def _events(
    chance: random.Random, users: range, start: datetime, end: datetime, each: int, prefix: str
) -> list[dict[str, Any]]:
    rows = []
    for user in users:
        for n in range(each):
            theme = chance.choice(sorted(_THEMES)[user % 2 :])
            at = start + (end - start) * chance.uniform(0.01, 0.99)
            rows.append(
                {
                    "event_id": f"{prefix}-{user:02}-{n}",
                    "user_id": f"u{user:02}",
                    "item_id": f"{theme}-{chance.randrange(len(_THEMES[theme]))}",
                    "event_type": "view",
                    "event_at": at.isoformat(),
                    "event_value": 1.0,
                    "event_text": None,
                }
            )
    return rows


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

"""A small shop in canonical files, and the command line as a stranger types it."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
ACTIVE_LATER = 4
THEMES = {
    "space": ["Starship atlas", "Orbital mechanics", "Moon base diary", "Comet hunters", "Mars colony plans"],
    "garden": ["Rose pruning", "Compost at home", "Bee friendly beds", "Winter vegetables", "Herb spiral"],
    "kitchen": ["Cast iron pan", "Sourdough basket", "Chef knife", "Pasta machine", "Spice grinder"],
    "history": ["Roman roads", "Silk road maps", "Medieval guilds", "Bronze age tools", "Viking ships"],
}


def write_shop(landing: Path, as_of: datetime, users: int = 24, seed: int = 7) -> None:
    """Write events of a year before `as_of` and of five hours after it; everyone likes one or two themes."""
    chance = random.Random(seed)
    (landing / "items").mkdir(parents=True)
    (landing / "events").mkdir()
    items = [(f"{theme}-{n}", title, theme) for theme, titles in THEMES.items() for n, title in enumerate(titles)]
    with (landing / "items" / "items.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["item_id", "title", "category"])
        rows.writerows(items)
    events = []
    for user in range(users):
        liked = chance.sample(sorted(THEMES), 2)
        for _ in range(chance.randint(4, 16)):
            item = chance.choice([item for item, _, theme in items if theme in liked])
            # User 0 has long history only, the last users are active in the hours after as_of.
            age = chance.uniform(20, 300) if user == 0 else chance.uniform(0.01, 60)
            events.append((f"u{user:02}", item, "view", as_of - timedelta(days=age), None))
        if user >= users - ACTIVE_LATER:
            at = as_of + timedelta(minutes=50 * (user - users + ACTIVE_LATER))
            events.append((f"u{user:02}", chance.choice(items)[0], "purchase", at, None))
            events.append((f"u{user:02}", None, "search", at + timedelta(minutes=1), "telescope for the moon"))
    with (landing / "events" / "events.jsonl").open("w") as stream:
        for user_id, item_id, event_type, at, text in events:
            row = {"user_id": user_id, "item_id": item_id, "event_type": event_type, "event_at": at.isoformat()}
            stream.write(json.dumps({**row, "event_text": text}) + "\n")


def environment(home: Path, landing: Path, **more: str) -> dict[str, str]:
    """Environment of a command on the small shop."""
    ours = {"TIDELINE_SOURCE": "canonical", "TIDELINE_HOME": str(home), "TIDELINE_LANDING": str(landing)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {**inherited, **ours, **more}


def tideline(
    home: Path, landing: Path, *arguments: str, timeout: int = 300, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "tideline", *arguments]
    return subprocess.run(
        command, env=environment(home, landing, **more), capture_output=True, text=True, timeout=timeout, check=False
    )

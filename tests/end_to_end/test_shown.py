"""A night is published, its rows are shown and clicked, and the next night tells how often; its lists stay the same."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tideline.walk import walk
from tideline.window import parse_instant, window_ending

pytestmark = pytest.mark.slow


def query(home: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str((home / "serving" / "current.duckdb").resolve()), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def run_night(monkeypatch: pytest.MonkeyPatch, home: Path, landing: Path, as_of: str) -> None:
    """Walk a night without Airflow, which has tests of its own, and without a trained version."""
    for name, value in {"SOURCE": "canonical", "HOME": home, "LANDING": landing}.items():
        monkeypatch.setenv(f"TIDELINE_{name}", str(value))
    walk(window_ending("nightly", parse_instant(as_of)), "test")


def land(landing: Path, name: str, events: list[dict]) -> None:
    (landing / "events" / name).write_text("".join(json.dumps(event) + "\n" for event in events))


def test_the_next_night_tells_the_click_through_of_the_night_before(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing, home = tmp_path / "landing", tmp_path / "home"
    shutil.copytree(shop, landing)
    run_night(monkeypatch, home, landing, "2024-03-01")
    listed = {
        (user, rank): row
        for user, rank, *row in query(
            home, "select user_id, rank, item_id, generation, candidate_sources, model_version from recommendations"
        )
    }
    _, generation, _, model = listed["u01", 1]

    def event(kind: str, user: str, rank: int, at: str = "2024-03-01T10:00:00Z", **changes: str | None) -> dict:
        item = listed[user, rank][0]
        row = {"user_id": user, "item_id": item, "event_type": kind, "event_at": at, "generation": generation}
        return {**row, **changes}

    clicks = [
        event("click", "u01", 1, "2024-03-01T10:01:00Z"),
        event("click", "u01", 1, "2024-03-01T10:02:00Z"),
        event("click", "u02", 2, "2024-03-01T10:01:00Z"),
        event("click", "u02", 5, "2024-03-01T10:01:00Z"),
    ]
    exposures = [
        *(event("exposure", "u01", rank) for rank in (1, 2, 3)),
        event("exposure", "u01", 1, "2024-03-01T11:00:00Z"),
        *(event("exposure", "u02", rank) for rank in (1, 2)),
        event("exposure", "u03", 1, item_id="an item that nobody knows"),
        event("exposure", "u03", 2, generation="another system"),
        event("exposure", "u03", 3, generation=None),
        event("exposure", "u03", 4, "2024-03-02T00:00:00Z"),
    ]
    land(landing, "clicks.jsonl", clicks)
    plain, plain_landing = tmp_path / "plain", tmp_path / "plain landing"
    shutil.copytree(home, plain, symlinks=True)
    shutil.copytree(landing, plain_landing)
    land(landing, "exposures.jsonl", exposures)
    run_night(monkeypatch, home, landing, "2024-03-02")
    run_night(monkeypatch, plain, plain_landing, "2024-03-02")

    rates = {
        subject: (exposed, clicked, rate, alone)
        for subject, exposed, clicked, rate, alone in query(
            home,
            "select subject, any_value(value) filter (metric = 'exposures'), "
            "any_value(value) filter (metric = 'clicks'), any_value(value) filter (metric = 'click_through_rate'), "
            "any_value(value) filter (metric = 'clicks_without_exposure') from quality_metrics "
            "where as_of = timestamp '2024-03-02' group by subject "
            "having bool_or(metric = 'exposures')",
        )
    }
    assert {subject: figures for subject, figures in rates.items() if "source " not in subject} == {
        **dict.fromkeys(["all", generation, model], (5, 2, 0.4, 1)),
        **dict.fromkeys(["rank 1", f"{generation}/rank 1"], (2, 1, 0.5, None)),
        **dict.fromkeys(["rank 2", f"{generation}/rank 2"], (2, 1, 0.5, None)),
        **dict.fromkeys(["rank 3", f"{generation}/rank 3"], (1, 0, 0.0, None)),
        **dict.fromkeys(["rank 5", f"{generation}/rank 5"], (0, 0, None, 1)),
        "not listed": (1, 0, 0.0, None),
        "unknown generation": (1, 0, 0.0, None),
        "no generation": (1, 0, 0.0, None),
    }
    shown = [("u01", 1), ("u01", 2), ("u01", 3), ("u02", 1), ("u02", 2)]
    by_source = Counter(source for place in shown for source in listed[place][2])
    clicked = Counter(source for place in (("u01", 1), ("u02", 2)) for source in listed[place][2])
    for source, count in by_source.items():
        assert rates[f"source {source}"][:2] == rates[f"{generation}/source {source}"][:2] == (count, clicked[source])

    lists = "select * exclude (generation, model_version) from recommendations order by user_id, rank"
    assert query(home, lists) == query(plain, lists)
    assert query(home, "select * exclude (generation) from user_interests order by user_id") == query(
        plain, "select * exclude (generation) from user_interests order by user_id"
    )

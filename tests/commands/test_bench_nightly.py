"""The bench of a whole night: what lands, how a stage is walked, and the figures; the night itself takes a minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.__main__ import main
from tideline.benches.nightly_floors import Floor
from tideline.benches.nightly_shop import AS_OF, land
from tideline.commands.bench_nightly import NIGHT, Night, Size, figures_of
from tideline.walk import STAGES

USERS, ITEMS, EVENTS = 2_000, 400, 40_000


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "landing"
    land(folder, Settings(threads=1, memory_limit="1GB"), USERS, ITEMS, EVENTS)
    return folder


def ask(landing: Path, query: str) -> list[tuple]:
    with duckdb.connect() as connection:
        for table in ("events", "items"):
            connection.execute(f"create view {table} as from read_parquet('{landing}/{table}/*.parquet')")
        return connection.execute(query).fetchall()


def test_a_year_lands_with_a_heavy_tail(landing: Path) -> None:
    assert len(list((landing / "events").iterdir())) == 12
    [(events, users, oldest, newest)] = ask(
        landing, "select count(*), count(distinct user_id), min(event_at), max(event_at) from events"
    )
    assert events == EVENTS and users > 0.98 * USERS
    assert newest < AS_OF.replace(tzinfo=None) and 364 < (newest - oldest).days + 1 <= 365
    by_user = [count for (count,) in ask(landing, "select count(*) from events group by user_id order by 1 desc")]
    assert by_user[0] > 20 * by_user[len(by_user) // 2]
    by_item = [count for (count,) in ask(landing, "select count(*) from events group by item_id order by 1 desc")]
    assert sum(by_item[: ITEMS // 8]) > 0.4 * EVENTS


def test_interests_drift_and_nothing_is_met_before_it_arrives(landing: Path) -> None:
    assert ask(landing, "select count(*) from events join items using (item_id) where event_at < available_from") == [
        (0,)
    ]
    half = f"event_at < timestamp '{AS_OF:%Y-%m-%d}' - interval 180 day"
    # Of the users with events enough, the category met most is another in each half of the year for nearly all.
    moved = f"""
        select avg((first != last)::int) from (
            select user_id, mode(category) filter ({half}) as first, mode(category) filter (not {half}) as last
            from events join items using (item_id) group by user_id having count(*) > 50
        )
    """
    assert ask(landing, moved)[0][0] > 0.6


def test_the_same_size_lands_the_same_rows(landing: Path, tmp_path: Path) -> None:
    land(tmp_path / "again", Settings(threads=2, memory_limit="1GB"), USERS, ITEMS, EVENTS)
    query = "select bit_xor(hash(events)), count(*) from events"
    assert ask(landing, query) == ask(tmp_path / "again", query)


def test_a_stage_tells_its_time_and_memory(tmp_path: Path) -> None:
    given = {"TIDELINE_SOURCE": "canonical", "TIDELINE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tideline.benches.nightly_stage", "open_run"]
    done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    assert set(measured) == {"seconds", "cpu", "peak", "read", "wrote"} and measured["peak"] > 10
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_figures_have_floors_and_growth() -> None:
    def night(size: Size, seconds: float) -> Night:
        done = {"seconds": seconds, "cpu": seconds, "peak": 100.0, "read": 5, "wrote": 6}
        return Night(
            size, {stage: dict(done) for stage in STAGES["nightly"]}, {"rank": Floor("one exact pass", 2.0)}, 7
        )

    size = Size(1_000, 200, 10_000)
    figures = figures_of([night(size.divided(10), 4.0), night(size, 40.0)])
    ranked = [row for row in figures if row["subject"] == "rank, 1,000 users" and row["metric"] == "seconds"]
    assert {row["compared_with"]: row["ratio"] for row in ranked} == {"one exact pass": 20.0, "rank, 100 users": 10.0}
    exponents = {row["subject"]: row["value"] for row in figures if row["metric"] == "growth_exponent"}
    assert exponents["rank, 1,000 users, from 100"] == pytest.approx(1.0)
    whole = {row["value"] for row in figures if row["subject"] == f"{NIGHT}, 1,000 users" and row["unit"] == "s"}
    assert whole == {40.0 * len(STAGES["nightly"])}
    assert {row["value"] for row in figures if row["metric"] == "ranking_rows"} == {7}


def test_a_size_of_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    assert main(["bench-nightly", "--users", "0"]) == 1
    assert "must be at least 1" in capsys.readouterr().err

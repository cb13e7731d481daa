"""A burst brings an hour about early: the trigger on real files, and the schedule that has it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from embeddings.settings import Settings
from tideline.burst import BurstTrigger, find_waiting
from tideline.schedules import or_on_burst


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    monkeypatch.setenv("TIDELINE_SOURCE", "canonical")
    folder = tmp_path / "landing"
    (folder / "events").mkdir(parents=True)
    return folder


def land(landing: Path, name: str, size: int) -> None:
    (landing / "events" / name).write_bytes(b"x" * size)


def test_a_burst_is_reported_once_and_the_next_one_again(landing: Path) -> None:
    async def watch() -> list[dict[str, int]]:
        land(landing, "small.csv", 400)
        events = BurstTrigger(megabytes=0.001, poll_seconds=0.01).run()
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.1)
        assert not first.done()  # less than a burst
        land(landing, "not-yet.csv.part", 5_000)
        land(landing, "large.csv", 700)
        reported = [(await first).payload]
        second = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.1)
        assert not second.done()  # the same files
        land(landing, "more.csv", 1_000)
        return [*reported, (await second).payload]

    assert asyncio.run(asyncio.wait_for(watch(), 10)) == [{"files": 2, "bytes": 1_100}, {"files": 1, "bytes": 1_000}]


def test_what_was_taken_in_waits_no_longer(landing: Path) -> None:
    land(landing, "a.csv", 10)
    [(name, size, changed)] = find_waiting(Settings())
    batch = landing.parent / "lake" / "batches" / "b"
    batch.mkdir(parents=True)
    record = {"batch_id": "b", "landed_at": "2024-01-01", "table": "events", "file": name, "bytes": size}
    (batch / "batch.json").write_text(json.dumps(record | {"mtime_ns": changed}))

    assert find_waiting(Settings()) == set()


def test_one_setting_adds_the_burst_to_the_clock(landing: Path) -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    by_clock, by_both = or_on_burst(Settings()), or_on_burst(Settings(hourly_burst_mb=2.5))

    with DAG("hour", schedule=by_both, start_date=None) as dag:
        pass
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    assert type(by_clock).__name__ == "CronDataIntervalTimetable"
    assert type(read).__name__ == "AssetOrTimeSchedule" and type(read.timetable).__name__ == "CronDataIntervalTimetable"
    [(_, asset)] = read.asset_condition.iter_assets()
    [watcher] = asset.watchers
    assert watcher.trigger["classpath"] == BurstTrigger(2.5).serialize()[0]
    assert watcher.trigger["kwargs"]["megabytes"] == 2.5

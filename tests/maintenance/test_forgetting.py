"""What is too old goes, what is needed stays whatever its age, and refused rows stay as long as was said."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from tideline.maintenance import tasks
from tideline.maintenance.airflow_records import remove_logs
from tideline.maintenance.forgetting import forget
from tideline.serving import publish
from tideline.serving.retention import pins_in_use

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def made(path, days, content="x"):
    """A file, or the folder that it is in, that was last changed so many days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    for one in (path, path.parent):
        os.utime(one, times=(when := (NOW - timedelta(days=days)).timestamp(), when))
    return path


def land(room, name, days):
    """A batch that landed so many days ago, with its landing file and its refused rows."""
    landing = made(room.settings.landing_path / name, days)
    record = {"batch_id": name, "file": name, "kind": "file", "landed_at": (NOW - timedelta(days=days)).isoformat()}
    record |= {
        "bytes": 1,
        "mtime_ns": landing.stat().st_mtime_ns,
        "unreadable": None,
        "reasons": {"user_id_missing": 1},
    }
    record |= {"events": 0, "items": 0}
    made(room.settings.root / "lake" / "batches" / name / "batch.json", days, json.dumps(record))
    return landing, made(room.settings.root / "quarantine" / f"{name}.parquet", days)


def test_refused_rows_go_when_their_time_is_over_and_are_written_down(make_room):
    room = make_room(keep_quarantined_days=30)
    old, new = land(room, "old", 31), land(room, "new", 29)
    assert forget(room.settings, NOW)["quarantine_files"] == 1
    assert not old[1].exists() and new[1].exists()
    # Landing files are the team's own: they stay unless the settings say otherwise.
    assert old[0].exists() and new[0].exists()
    (line,) = (room.settings.root / "quarantine" / "expired.jsonl").read_text().splitlines()
    assert json.loads(line)["batch_id"] == "old" and json.loads(line)["reasons"] == {"user_id_missing": 1}
    assert forget(room.settings, NOW)["quarantine_files"] == 0


def test_landing_files_go_only_if_wanted_and_only_what_the_lake_has(make_room):
    room = make_room(keep_landing_days=10)
    old, new, changed = land(room, "old", 11)[0], land(room, "new", 9)[0], land(room, "changed", 11)[0]
    changed.write_text("something that has not been taken in")
    stranger = made(room.settings.landing_path / "stranger", 99)
    assert forget(room.settings, NOW)["landing_files"] == 1
    assert not old.exists() and new.exists() and changed.exists() and stranger.exists()


def test_versions_that_somebody_may_need_stay(make_room):
    room = make_room(keep_generations=2, keep_model_days=100)
    models = room.settings.root / "models"
    names = ("named-by-a-run", "rejected", "young", "champion-1", "champion-2", "champion-3")
    card = json.dumps({"trained_until": "2026-01-01T00:00:00"})
    for name in names:
        made(models / f"model-{name}" / "card.json", 9 if name == "young" else 101, card)
    log = [{"version": f"model-champion-{n}", "at": "2026-01-01", "reason": "better"} for n in (1, 2, 3)]
    (models / "champions.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    run = room.settings.root / "runs" / "nightly-20260101T000000Z-00000000" / "run.json"
    made(run, 1, json.dumps({"model": "model-named-by-a-run"}))
    assert forget(room.settings, NOW)["models"] == 2
    left = {path.name.removeprefix("model-") for path in models.glob("model-*")}
    assert left == set(names) - {"rejected", "champion-1"}


def test_runs_that_never_ended_go_after_a_while_and_their_data_docs_later(make_room):
    room = make_room(keep_failed_days=7, keep_log_days=30)
    runs, docs = room.settings.root / "runs", room.settings.root / "data_docs"
    dead, alive = (f"hourly-20260101T0{n}0000Z-00000000" for n in range(2))
    for name, days in ((dead, 8), (alive, 8)):
        made(runs / name / "run.json", days)
        made(docs / name / "staging.html", 31)
    made(runs / alive / "stages.jsonl", 6)
    assert pins_in_use(room.settings.root, NOW) == []
    assert pins_in_use(room.settings.root, NOW - timedelta(days=5.5)) == [NOW - timedelta(days=8)]
    counts = forget(room.settings, NOW)
    assert (counts["abandoned_runs"], counts["data_docs"]) == (1, 1)
    assert [path.name for path in runs.iterdir()] == [path.name for path in docs.iterdir()] == [alive]


def test_old_logs_go_with_their_empty_folders(tmp_path):
    old, new = made(tmp_path / "dag" / "run1" / "task.log", 31), made(tmp_path / "dag" / "run2" / "task.log", 29)
    assert remove_logs(tmp_path, NOW - timedelta(days=30)) == (1, 1)
    assert not old.parent.exists() and new.exists()


@pytest.mark.parametrize("times", [1, 2])
def test_maintenance_changes_nothing_that_readers_see(room, monkeypatch, times):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1})
    hour = room.make_run("hourly", room.at(1), {"a": 2}, base=night.run_id)
    for run in (night, hour):
        publish(run, room.settings)
    before = room.shown()
    monkeypatch.setenv("TIDELINE_HOME", str(room.settings.root))
    monkeypatch.setenv("TIDELINE_SOURCE", "canonical")
    for _ in range(times):
        for task in tasks.IN_ORDER:
            task()
    assert room.shown() == before and night.path.exists()
    publish(room.make_run("hourly", room.at(2), {"b": 3}, base=night.run_id), room.settings)
    assert room.shown()["b"][0] == 3

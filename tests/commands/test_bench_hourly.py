"""The benchmark of the hour, at a size of seconds, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tideline.__main__ import main

STAGES = {
    "open_run",
    "take_in",
    "build_behaviour",
    "plan_texts",
    "embed_shard",
    "rank",
    "copy_snapshot",
    "publish",
    "read",
}


def test_the_report_compares_hours_of_more_users_and_of_more_active_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    sizes = ["--users", "60", "--active", "6", "--items", "40", "--seed-users", "30", "--hours", "1"]

    assert main(["bench-hourly", *sizes]) == 0

    rows = json.loads((tmp_path / "reports" / "bench-hourly.json").read_text())["rows"]
    hour = {row["metric"]: row["value"] for row in rows if row["subject"] == "6 of 60"}
    stages = {
        row["subject"].removeprefix("6 of 60: "): row["value"] for row in rows if row["metric"] == "stage_seconds"
    }
    assert stages.keys() >= STAGES
    assert hour["seconds"] == pytest.approx(sum(stages.values()) - stages["copy_snapshot"], rel=0.05, abs=1)
    assert hour["bytes_copied"] > 12 * 4096 and hour["bytes_computed"] > 0 and hour["peak_memory"] > 100
    assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]


def test_sizes_that_do_not_fit_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    assert main(["bench-hourly", "--users", "70", "--seed-users", "30"]) == 1
    assert "multiples of 30" in capsys.readouterr().err


def test_each_hour_is_compared_with_the_next_smaller_one() -> None:
    from tideline.commands.bench_hourly import compared_with

    found = [(1_000, 10_000), (1_000, 100_000), (100, 100_000), (10_000, 100_000), (1_000, 1_000_000)]

    assert [compared_with(found, size, usual=1_000) for size in found] == [
        None,
        (1_000, 10_000),
        None,
        (1_000, 100_000),
        (1_000, 100_000),
    ]

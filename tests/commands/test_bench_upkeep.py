"""The simulation of hours, at a size of seconds, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tideline.__main__ import main


def test_the_report_has_bytes_and_files_by_folder_with_and_without_maintenance(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    assert main(["bench-upkeep", "--hours", "11"]) == 1
    assert "at least 12 hours" in capsys.readouterr().err
    monkeypatch.setattr("tideline.benches.simulated_hours.USERS", 100)
    assert main(["bench-upkeep", "--hours", "12"]) == 0
    rows = json.loads((tmp_path / "reports" / "bench-upkeep.json").read_text())["rows"]
    sizes = {row["subject"]: row for row in rows if row["metric"] == "bytes"}
    assert {f"lake, {at} hours" for at in (1, 2, 6, 9, 12)} <= set(sizes)
    assert sizes["events as landed, 12 hours"]["value"] > sizes["events as landed, 6 hours"]["value"] > 0
    ours = sizes["vectors, 12 hours"]
    assert ours["compared_with"] == "vectors, 12 hours, without maintenance"
    assert {row["subject"] for row in rows if row["metric"] == "bytes_an_hour"} >= {"all, 9 to 12 hours"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]

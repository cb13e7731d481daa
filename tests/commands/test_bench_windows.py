"""The benchmark of window vectors, at a size of seconds, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tideline.__main__ import main


def test_the_report_has_the_rates_the_floor_the_memory_and_the_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    assert main(["bench-windows", "--users", "500", "--items", "200", "--events", "5000"]) == 0
    rows = json.loads((tmp_path / "reports" / "bench-windows.json").read_text())["rows"]
    seconds = {row["subject"]: row["value"] for row in rows if row["metric"] == "seconds"}
    (ours,) = (subject for subject in seconds if subject.startswith("window vectors and fusion"))
    rate = {row["subject"]: row["value"] for row in rows if row["metric"] == "users_per_second"}
    assert rate[ours] == pytest.approx(500 / seconds[ours], rel=0.01)
    assert any(subject.startswith("fusion alone") for subject in rate)
    compared = {row["compared_with"] for row in rows if (row["metric"], row["subject"]) == ("seconds", ours)}
    assert compared == {"bare product, one thread", "plain write of the same bytes"} <= set(seconds)
    by_metric = {row["metric"]: row for row in rows if row["subject"] == ours}
    assert by_metric["peak_memory"]["unit"] == "MiB" and by_metric["peak_memory"]["value"] > 50
    assert by_metric["bytes_read"]["value"] > 200 * 384 * 4
    assert by_metric["bytes_written"]["value"] > 400 * 2 * 384 * 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]


def test_a_size_of_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    assert main(["bench-windows", "--users", "0"]) == 1
    assert "must be at least 1" in capsys.readouterr().err

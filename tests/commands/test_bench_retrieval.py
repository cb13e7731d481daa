"""The benchmark of nearest items, at a size of seconds, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tideline.__main__ import main


def test_every_compared_thing_has_its_seconds_and_its_recall(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    monkeypatch.setenv("TIDELINE_USER_BLOCK", "200")
    assert main(["bench-retrieval", "--users", "300", "--items", "3000", "--dimension", "32", "--k", "20"]) == 0
    rows = json.loads((tmp_path / "reports" / "bench-retrieval.json").read_text())["rows"]
    compared = {
        row["compared_with"]: row for row in rows if (row["metric"], row["subject"]) == ("seconds", "nearest_items")
    }
    assert {"faiss IndexFlatIP", "LanceDB exact", "matrix product"} <= set(compared)
    seconds = {row["subject"]: row["value"] for row in rows if row["metric"] == "seconds"}
    for name in ("faiss IndexFlatIP", "matrix product", "LanceDB exact (300 users, scaled)"):
        assert compared[name.split(" (")[0]]["ratio"] == pytest.approx(seconds["nearest_items"] / seconds[name])
    recalls = {row["subject"]: row["value"] for row in rows if row["metric"] == "recall@20"}
    assert min(recalls[name] for name in recalls if name.startswith("nearest_items")) >= 0.999
    assert {"LanceDB index", "LanceDB exact", "faiss IndexFlatIP"} <= set(recalls)


def test_a_size_of_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    assert main(["bench-retrieval", "--users", "0"]) == 1
    assert "must be at least 1" in capsys.readouterr().err

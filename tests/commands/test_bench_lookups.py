"""The benchmark of readers: what it refuses; its readers and its publisher are in tests/serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from tideline.__main__ import main


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--users", "70", "--seed-users", "30"], "multiples of 30"),
        (["--users", "60", "--seed-users", "30"], "at most 60"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], told: str
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "home"))
    assert main(["bench-lookups", *given]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "home").exists()

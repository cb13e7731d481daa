"""The benchmark of the hour: what it refuses and compares; the homes that it grows are in tests/serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from tideline.__main__ import main
from tideline.commands.bench_hourly import compared_with


def test_sizes_that_do_not_fit_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    assert main(["bench-hourly", "--users", "70", "--seed-users", "30"]) == 1
    assert "multiples of 30" in capsys.readouterr().err


def test_each_hour_is_compared_with_the_next_smaller_one() -> None:
    found = [(1_000, 10_000), (1_000, 100_000), (100, 100_000), (10_000, 100_000), (1_000, 1_000_000)]

    assert [compared_with(found, size, usual=1_000) for size in found] == [
        None,
        (1_000, 10_000),
        None,
        (1_000, 100_000),
        (1_000, 100_000),
    ]

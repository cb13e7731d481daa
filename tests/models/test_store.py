"""The store of models: versions never change, no champion learned from the future, going back is one call."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tideline.models import (
    ModelStoreError,
    Version,
    champion_for,
    go_back,
    list_champions,
    list_versions,
    next_champion_from,
    promote,
    remove_unused,
    save_version,
    use_version,
)

START = datetime(2026, 1, 1)


def writer(day: int, content: str = "") -> Callable[[Path], dict[str, Any]]:
    def write(folder: Path) -> dict[str, Any]:
        (folder / "model.txt").write_text(content or str(day))
        return {"trained_until": (START + timedelta(days=day)).isoformat()}

    return write


def save(root: Path, day: int, content: str = "") -> Version:
    return save_version(root, writer(day, content))


def test_a_version_is_named_by_its_content_and_stored_once(tmp_path: Path) -> None:
    first, again, other = save(tmp_path, 1), save(tmp_path, 1), save(tmp_path, 1, "other")
    assert first == again and first.name != other.name
    assert {version.name for version in list_versions(tmp_path)} == {first.name, other.name}
    assert not [folder for folder in first.folder.parent.iterdir() if folder.name.startswith(".new")]


def test_how_a_version_was_judged_is_on_its_card_and_not_in_its_name(tmp_path: Path) -> None:
    def judged(decision: str) -> Callable[[Path], dict[str, Any]]:
        return lambda folder: {**writer(1)(folder), "decision": decision}

    first, again = save_version(tmp_path, judged("better")), save_version(tmp_path, judged("the same"))
    assert first == again and again.card["decision"] == "better"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(days=st.lists(st.integers(0, 9), max_size=8), as_of=st.integers(0, 10))
def test_a_champion_never_learned_from_the_window_or_after_it(
    days: list[int], as_of: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    for day in days:
        promote(root, save(root, day), "better")
    chosen = champion_for(root, START + timedelta(days=as_of))
    allowed = [day for day in days if day <= as_of]
    assert (chosen.trained_until if chosen else None) == (START + timedelta(days=allowed[-1]) if allowed else None)


def test_what_is_trained_for_the_past_replaces_no_later_champion(tmp_path: Path) -> None:
    def as_of(day: int) -> datetime:
        return START + timedelta(days=day)

    late = save(tmp_path, 20)
    promote(tmp_path, late, "first")
    assert next_champion_from(tmp_path, as_of(20)) is None
    early = save(tmp_path, 10)
    promote(tmp_path, early, "backfill", next_champion_from(tmp_path, early.trained_until))
    chosen = [champion_for(tmp_path, as_of(day)) for day in (9, 10, 19, 20, 30)]
    assert chosen == [None, early, early, late, late]
    with pytest.raises(ModelStoreError, match="no earlier champion"):
        go_back(tmp_path)
    use_version(tmp_path, early.name)
    assert champion_for(tmp_path, as_of(30)) == early
    assert go_back(tmp_path) == champion_for(tmp_path, as_of(30)) == late
    assert [entry["version"] for entry in list_champions(tmp_path)] == [v.name for v in (late, early, early, late)]


def test_going_back_takes_the_champion_before_and_says_when_there_is_none(tmp_path: Path) -> None:
    first, second = save(tmp_path, 1), save(tmp_path, 2)
    for version in (first, second):
        promote(tmp_path, version, "better")
    later = START + timedelta(days=9)
    assert champion_for(tmp_path, later) == second
    assert go_back(tmp_path) == champion_for(tmp_path, later) == first
    assert use_version(tmp_path, second.name) == champion_for(tmp_path, later)
    with pytest.raises(ModelStoreError, match="no earlier champion to go back to"):
        go_back(tmp_path / "another home")
    with pytest.raises(ModelStoreError, match=f"there are: {first.name}, {second.name}"):
        use_version(tmp_path, "model-ffffffffffff")


def test_a_promotion_that_was_killed_half_way_never_happened(tmp_path: Path) -> None:
    promote(tmp_path, first := save(tmp_path, 1), "better")
    log = tmp_path / "models" / "champions.jsonl"
    with log.open("a") as stream:
        stream.write('{"version": "model-')
    assert champion_for(tmp_path, START + timedelta(days=9)) == first
    promote(tmp_path, second := save(tmp_path, 2), "better")
    assert champion_for(tmp_path, START + timedelta(days=9)) == second
    assert [json.loads(line)["version"] for line in log.read_text().splitlines()] == [first.name, second.name]


def test_a_version_that_was_killed_while_it_was_written_is_not_there(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from tideline.models import save_version\n"
        "def write(folder):\n"
        "    (folder / 'model.txt').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "save_version(Path(sys.argv[1]), write)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert list_versions(tmp_path) == []


def test_rejected_challengers_go_and_champions_stay(tmp_path: Path) -> None:
    versions = [save(tmp_path, day) for day in range(5)]
    promote(tmp_path, versions[0], "first")
    assert remove_unused(tmp_path, keep=2) == 2
    assert list_versions(tmp_path) == [versions[0], *versions[3:]]

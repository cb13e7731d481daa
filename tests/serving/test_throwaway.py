"""Throwaway folders go: at the end, on errors, and after a kill with the next session."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tideline.serving.throwaway import throwaway_folder

HOLD = """
import sys, time
from pathlib import Path
from tideline.serving.throwaway import throwaway_folder
with throwaway_folder(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("content")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip()
    process.kill()
    process.wait()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_folder_goes_at_the_end_whatever_the_end_is(tmp_path, error):
    try:
        with throwaway_folder(tmp_path / "sessions") as folder:
            assert folder.stat().st_mode & 0o077 == 0
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text("content")
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert list((tmp_path / "sessions").iterdir()) == []


def test_folders_of_the_living_stay_and_those_of_the_killed_go(tmp_path, holder):
    process, theirs = holder
    (tmp_path / "not_ours").write_text("a file")
    with throwaway_folder(tmp_path) as mine, throwaway_folder(tmp_path) as another:
        assert {str(path) for path in tmp_path.iterdir()} == {
            theirs,
            str(mine),
            str(another),
            str(tmp_path / "not_ours"),
        }
    process.kill()
    process.wait()
    assert Path(theirs).exists()
    with throwaway_folder(tmp_path) as mine:
        assert {str(path) for path in tmp_path.iterdir()} == {str(mine), str(tmp_path / "not_ours")}


def test_ctrl_c_removes_the_folder(tmp_path, holder):
    process, theirs = holder
    process.send_signal(signal.SIGINT)
    process.wait()
    assert not Path(theirs).exists()

"""Programs under the supervisor: what they are told arrives word for word, and what dies is started again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tideline.supervisor import Program, ServicesError, control, is_running, start, stop

SAYS = "import os, sys, time; open(sys.argv[1], 'a').write(os.environ['SAID'] + chr(10)); time.sleep(600)"
SAID = 'a "quoted" 100% word, \\ and a comma; $HOME'


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_words_arrive_as_they_are_and_a_killed_program_comes_back(tmp_path: Path) -> None:
    folder, told = tmp_path / "supervisor", tmp_path / "it's told.txt"
    start(folder, {"speaker": Program([sys.executable, "-c", SAYS, str(told)], {"SAID": SAID})})
    try:
        assert is_running(folder)
        assert (folder / "supervisord.conf").stat().st_mode & 0o077 == 0, "it holds what programs are told"
        wait_for(lambda: told.exists() and told.read_text() == f"{SAID}\n")
        wait_for(lambda: "RUNNING" in control(folder, "status", "speaker").stdout)
        os.kill(int(control(folder, "pid", "speaker").stdout), signal.SIGKILL)
        wait_for(lambda: told.read_text() == f"{SAID}\n" * 2)
    finally:
        stop(folder)
    assert not is_running(folder)


def test_what_cannot_be_passed_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServicesError, match="SAID has quotes of both kinds"):
        start(tmp_path / "supervisor", {"speaker": Program(["true"], {"SAID": "'\""})})

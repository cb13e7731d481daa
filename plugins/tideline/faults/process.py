"""Processes that do what Airflow's tasks do: forked from one that has imported everything, so each starts at once."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

NO_ARTIFACTS = {"DBT_WRITE_JSON": "false"}
"""dbt writes no `manifest.json` and the like, which nothing reads: a seventh of its processor time."""
PATIENCE = 900.0
"""Seconds after which a process that should have stopped or ended is given up."""
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tideline.faults.preloaded"])


class Done(NamedTuple):
    """How a process ended."""

    status: int
    """Exit status; negative for the signal that killed it."""
    out: str
    err: str


class Walker:
    """A process that does what a module's `main` does with a command line, with an environment of its own."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], module: str = "tideline.faults.walk"
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="walker-")
        self._files = Path(self._folder.name) / "out", Path(self._folder.name) / "err"
        files = tuple(str(file) for file in self._files)
        self._process: ForkServerProcess = _context.Process(
            target=_walk, args=(module, list(arguments), dict(environment), files)
        )
        self._process.start()

    def wait(self) -> Done:
        """Wait for its end; one that takes longer than `PATIENCE` is killed."""
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        out, err = (file.read_text(errors="replace") if file.exists() else "" for file in self._files)
        self._folder.cleanup()
        return Done(int(self._process.exitcode or 0), out, err)

    def wait_until_stopped(self) -> bool:
        """Wait until it has stopped itself, as `walk --stop-at` does; False if it ended without."""
        deadline = time.monotonic() + PATIENCE
        while self._process.is_alive() and time.monotonic() < deadline:
            if _state(self._process.pid) == "T":
                return True
            time.sleep(0.02)
        return False

    def resume(self) -> None:
        """Let it go on after a stop."""
        os.kill(self._process.pid or 0, signal.SIGCONT)


def _state(pid: int | None) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _walk(module: str, arguments: list[str], environment: dict[str, str], files: tuple[str, str]) -> None:
    for descriptor, file in enumerate(files, 1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
    for name in [name for name in os.environ if name.startswith("TIDELINE_")]:
        del os.environ[name]
    os.environ.update(environment | NO_ARTIFACTS)
    raise SystemExit(importlib.import_module(module).main(arguments))

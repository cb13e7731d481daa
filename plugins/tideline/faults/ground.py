"""The ground that faults are tried on: a home that is always at one path, and pictures of it before every stage.

A try restores the picture from before its stage, so that it costs that stage and what follows, not a whole run. The
path stays the same, because a run's warehouse names the files that it reads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline.faults.shop import deliver
from tideline.report import REPOSITORY

KEPT = 2
"""Generations kept beside the current one: so few that the last hour has something to clean up."""


class FaultsError(RuntimeError):
    """The undisturbed run itself failed, so that nothing can be compared; the message holds the end of its log."""


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbed."""

    before: dict[str, Any]
    """What readers saw before it, as `look.see_published`."""
    after: dict[str, Any]
    """What there was after it, as `look.see_all`."""
    passed: dict[str, dict[str, int]]
    """For each stage the failpoints that it passed, and how often."""
    files: frozenset[str]
    """Names of all files of the home after it."""


@dataclass
class Ground:
    """One folder, `home` and `pictures` in it, and the references of the runs walked so far."""

    folder: Path
    settings: Settings
    references: dict[str, Reference] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The home of every run, in this state or that."""
        return self.folder / "home"

    def walk_undisturbed(self, walks: list[str]) -> None:
        """Walk runs of the shop in order, with pictures; their results are what every later try is compared with.

        Raises
        ------
        FaultsError
            If one of them fails.
        """
        published: dict[str, Any] = {}
        for walk in walks:
            deliver(self.home / "landing", walk)
            done = self.start(walk, "--pictures", str(self.folder / "pictures"))
            if done.returncode:
                raise FaultsError(f"the undisturbed {walk} failed:\n{done.stderr[-3000:]}")
            answer = json.loads(done.stdout.splitlines()[-1])
            self.references[walk] = Reference(published, answer["after"], answer["passed"], self.files())
            published = answer["after"]["published"]

    def restore(self, walk: str, stage: str) -> None:
        """Put the home back to what it was before a stage."""
        shutil.rmtree(self.home)
        shutil.copytree(self.folder / "pictures" / walk / stage, self.home, symlinks=True)

    def start(self, walk: str, *options: str, failpoint: str | None = None) -> subprocess.CompletedProcess[str]:
        """Walk a run in a process of its own, by the command line of `walk`, and wait for its end."""
        given = {
            "TIDELINE_SOURCE": "canonical",
            "TIDELINE_HOME": str(self.home),
            "TIDELINE_CACHE": str(self.settings.cache_path),
            "TIDELINE_KEEP_GENERATIONS": str(KEPT),
            "TIDELINE_MEMORY_LIMIT": "1GB",
            # With another secret the ledger would order texts in another way.
            "TIDELINE_LEDGER_SECRET": "faults",
            "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "plugins"))),
        }
        if failpoint:
            given["TIDELINE_FAILPOINT"] = failpoint
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIDELINE_")}
        command = [sys.executable, "-m", "tideline.faults.walk", walk, *options]
        return subprocess.run(command, env=inherited | given, capture_output=True, text=True, check=False)

    def files(self) -> frozenset[str]:
        """Return the names of all files of the home, relative to it."""
        found = (path for path in self.home.rglob("*") if not path.is_dir() or path.is_symlink())
        return frozenset(path.relative_to(self.home).as_posix() for path in found)


def open_ground(folder: Path, settings: Settings) -> Ground:
    """Make an empty ground below a folder that nobody else uses."""
    ground = Ground(folder, settings)
    ground.home.mkdir(parents=True)
    return ground

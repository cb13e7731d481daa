"""The ground that faults are tried on: a home that is always at one path, and pictures of it before every stage.

A try restores the picture from before its stage, so that it costs that stage and what follows, not a whole run. The
path stays the same, because a run's warehouse names the files that it reads.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline.faults.process import Done, Walker
from tideline.faults.shop import deliver

KEPT = 2
"""Generations kept beside the current one: so few that the last hour has something to clean up."""
END = "end"
"""Name of the picture after the last stage of a run."""
_UNCHANGING = re.compile(r".*\.(parquet|lance|manifest|npy)|snap_.*\.duckdb")
"""Files that nobody writes again: pictures share them."""


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
    ended: dict[str, dict[str, Any]]
    """What there was after each stage, as `look.see_all`."""
    files: frozenset[str]
    """Names of all files of the home after it."""


@dataclass
class Ground:
    """One folder, `home` and `pictures` in it, and the references of the runs walked so far."""

    folder: Path
    cache: Path
    """Of converted models: as in the settings of the machine."""
    references: dict[str, Reference] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The home of every run, in this state or that."""
        return self.folder / "home"

    @property
    def settings(self) -> Settings:
        """The settings of a reader of the home."""
        given = {name.removeprefix("TIDELINE_").lower(): value for name, value in self.environment().items()}
        return Settings.model_validate(given)

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
            done = self.start(walk, "--pictures", str(self.folder / "pictures")).wait()
            if done.status:
                raise FaultsError(f"the undisturbed {walk} failed:\n{done.err[-3000:]}")
            answer = read_answer(done)
            self.references[walk] = Reference(
                published, answer["after"], answer["passed"], answer["ended"], self.files()
            )
            published = answer["after"]["published"]

    def restore(self, walk: str, stage: str) -> None:
        """Put the home back to what it was before a stage, or after the last one (`END`)."""
        self.clear()
        copy_home(self.folder / "pictures" / walk / stage, self.home)

    def clear(self) -> None:
        """Remove the home, whatever it is."""
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self, walk: str, *options: str, failpoint: str | None = None) -> Walker:
        """Walk a run in a process of its own, by the command line of `walk`."""
        return Walker([walk, *options], self.environment() | ({"TIDELINE_FAILPOINT": failpoint} if failpoint else {}))

    def environment(self) -> dict[str, str]:
        """Return the settings of every process of this ground."""
        return {
            "TIDELINE_SOURCE": "canonical",
            "TIDELINE_HOME": str(self.home),
            "TIDELINE_CACHE": str(self.cache),
            "TIDELINE_KEEP_GENERATIONS": str(KEPT),
            "TIDELINE_MEMORY_LIMIT": "1GB",
            "TIDELINE_THREADS": "1",
            # With another secret the ledger would order texts in another way.
            "TIDELINE_LEDGER_SECRET": "faults",
        }

    def files(self, walk: str | None = None, stage: str = END) -> frozenset[str]:
        """Return the names of all files of the home, or of the picture before a stage, relative to it."""
        home = self.folder / "pictures" / walk / stage if walk else self.home
        found = (path for path in home.rglob("*") if not path.is_dir() or path.is_symlink())
        return frozenset(path.relative_to(home).as_posix() for path in found)


def open_ground(folder: Path, settings: Settings) -> Ground:
    """Make an empty ground below a folder that nobody else uses."""
    ground = Ground(folder, settings.cache_path)
    ground.home.mkdir(parents=True)
    return ground


def copy_home(origin: Path, target: Path) -> None:
    """Copy a home; what nobody writes again becomes a hard link."""

    def copy(file: str, copied: str) -> None:
        if _UNCHANGING.fullmatch(Path(file).name):
            os.link(file, copied)
        else:
            shutil.copy2(file, copied)

    shutil.copytree(origin, target, symlinks=True, copy_function=copy)


def turn_over(file: Path, place: int) -> None:
    """Turn a bit over as a disk does: size and time of change stay. Other links to the file keep their content."""
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[place % len(content)] ^= 0x10
    part = file.with_name(f".{file.name}.turned")
    part.write_bytes(content)
    os.utime(part, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    part.chmod(stat.st_mode)
    part.replace(file)


def walked(walker: Walker) -> dict[str, Any]:
    """Wait for a walk that must end well; return its answer.

    Raises
    ------
    FaultsError
        If it does not.
    """
    done = walker.wait()
    if done.status:
        raise FaultsError(f"a walk failed: {done.err[-1500:]}")
    return read_answer(done)


def read_answer(done: Done) -> dict[str, Any]:
    """Return what a walk that ended well answered."""
    answer: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return answer

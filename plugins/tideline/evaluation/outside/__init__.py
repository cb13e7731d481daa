"""Peers that cannot share the lock: run in an environment of their own, exchanging Parquet only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tideline.commands.run import RunError
from tideline.evaluation.metrics import K
from tideline.evaluation.split import Indices, Mode, Split
from tideline.report import REPOSITORY

NAME = "sasrec"
GRID: tuple[dict[str, Any], ...] = ({"epochs": 5, "factors": 64}, {"epochs": 20, "factors": 64})
ENVIRONMENT = REPOSITORY / ".venv-peers"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SCRIPT = Path(__file__).with_name("sasrec.py")


class OutsideError(RunError):
    """The second environment cannot be made, or its program failed; the message ends with what it said."""


def provide_environment() -> Path:
    """Make the second environment, unless there is one of the same requirements; return its interpreter.

    uv installs, and does not read pip's configuration: where pip was told of more places with wheels, uv is told too.

    Raises
    ------
    OutsideError
        If a package cannot be had.
    """
    python = ENVIRONMENT / "bin" / "python"
    marker = ENVIRONMENT / "installed"
    digest = sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if marker.exists() and marker.read_text() == digest:
        return python
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise OutsideError("uv is not installed beside this interpreter: run `make install`")
    links = os.environ.get("PIP_FIND_LINKS")
    more = ["--find-links", links] if links else []
    _check([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)])
    _check([uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(REQUIREMENTS), *more])
    marker.write_text(digest)
    return python


def sasrec_lists(
    python: Path, split: Split, settings: Mapping[str, Any], users: Mapping[Mode, Indices], k: int = K
) -> dict[Mode, Indices]:
    """Fit SASRec on the history of a split and return the lists `[users, k]` of the users of each mode.

    Raises
    ------
    OutsideError
        If the program fails.
    """
    history = split.history
    asked = np.unique(np.concatenate([*users.values(), np.empty(0, dtype=np.int64)]))
    with tempfile.TemporaryDirectory(prefix="tideline-peers-") as scratch:
        folder = Path(scratch)
        events = {"user": history.user, "item": history.item, "age": history.age}
        pq.write_table(pa.table(events), folder / "interactions.parquet")
        pq.write_table(pa.table({"user": asked}), folder / "users.parquet")
        (folder / "settings.json").write_text(json.dumps({**settings, "k": k}))
        _check([str(python), str(SCRIPT), str(folder)])
        return {mode: _read(folder / f"{mode}.parquet", part, k) for mode, part in users.items()}


def _read(file: Path, users: Indices, k: int) -> Indices:
    table = pq.read_table(file)
    user, rank, item = (table[name].to_numpy().astype(np.int64) for name in ("user", "rank", "item"))
    kept = np.isin(user, users)
    lists = np.full((users.size, k), -1, dtype=np.int64)
    lists[np.searchsorted(users, user[kept]), rank[kept] - 1] = item[kept]
    return lists


def _check(command: list[str]) -> None:
    # The other interpreter must not find our packages, nor the other way round.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise OutsideError(f"{' '.join(command[:4])} ... failed:\n{done.stderr.strip()[-1500:]}")

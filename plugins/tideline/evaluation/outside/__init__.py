"""Peers that cannot share the lock: run in an environment of their own, exchanging Parquet only."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tideline.commands.dag_runs import RunError
from tideline.evaluation.metrics import K
from tideline.evaluation.split import Indices, Mode, Split
from tideline.report import REPOSITORY

NAME = "sasrec"
GRID: tuple[Mapping[str, Any], ...] = ({"epochs": 5, "factors": 64}, {"epochs": 20, "factors": 64})
SCRIPT = Path(__file__).with_name("sasrec.py")


class OutsideError(RunError):
    """The second environment is missing, or its program failed; the message ends with what it said."""


def find_interpreter() -> Path:
    """Return the interpreter of the second environment, which the Makefile makes from `requirements.txt`.

    Raises
    ------
    OutsideError
        If it was not made.
    """
    python = REPOSITORY / ".venv-peers" / "bin" / "python"
    if not python.exists():
        raise OutsideError(f"{python} is not there: `make evaluate PEERS=all` installs it")
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
        # -E: the other interpreter must not find our packages.
        _check([str(python), "-E", str(SCRIPT), str(folder)])
        return {mode: _read(folder / f"{mode}.parquet", part, k) for mode, part in users.items()}


def _read(file: Path, users: Indices, k: int) -> Indices:
    table = pq.read_table(file)
    user, rank, item = (table[name].to_numpy().astype(np.int64) for name in ("user", "rank", "item"))
    kept = np.isin(user, users)
    lists = np.full((users.size, k), -1, dtype=np.int64)
    lists[np.searchsorted(users, user[kept]), rank[kept] - 1] = item[kept]
    return lists


def _check(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OutsideError(f"{' '.join(command[:4])} ... failed:\n{done.stderr.strip()[-1500:]}")

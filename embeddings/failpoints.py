"""Failpoints: named places before and after every side effect, where a test can kill the process.

`TIDELINE_FAILPOINT=pointer.swap.before` kills it there with SIGKILL, as a lost machine would; `tables.export.after:3`
at the third passing. The settings read the variable, as every other one, and the door of the stages arms it: this
module reads no environment, so that a process dies only by what its settings say. Unarmed, a passing is one comparison.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

SIDE_EFFECTS = {
    "run.open": ("plugins/tideline/stages.py", "the run's folder is emptied and made"),
    "run.pin": ("plugins/tideline/pinning.py", "`run.json` names the pinned inputs"),
    "intake.batch": ("plugins/tideline/intake/batches.py", "the files of a batch are written aside"),
    "intake.quarantine": ("plugins/tideline/intake/batches.py", "refused rows get their file's name"),
    "lake.append": ("plugins/tideline/intake/batches.py", "a batch gets its name in the lake"),
    "warehouse.build": ("plugins/tideline/warehouse/__init__.py", "dbt builds models in the run's warehouse"),
    "checksums.write": ("embeddings/checksums.py", "checksums of new files are recorded"),
    "tables.export": ("plugins/tideline/warehouse/relations.py", "a table leaves the warehouse as Parquet"),
    "plan.save": ("embeddings/shard_files.py", "the plan of a run's texts holds"),
    "shard.record": ("embeddings/shard.py", "a shard's record is written"),
    "ledger.commit": ("embeddings/ledger.py", "vectors of texts are appended to the ledger"),
    "ledger.clear": ("embeddings/ledger.py", "files of committed shards are removed"),
    "vectors.write": ("embeddings/vector_files.py", "a file of vectors gets its name"),
    "vectors.aside": ("embeddings/join.py", "a file of text vectors is put aside"),
    "vectors.carry": ("embeddings/vector_files.py", "an hour takes the item vectors of its base"),
    "knowledge.save": ("plugins/tideline/ranking/learned/knowledge.py", "the knowledge folder appears"),
    "ranking.part": ("plugins/tideline/ranking/stage.py", "a part of the ranked rows is written"),
    "ranking.rename": ("plugins/tideline/ranking/stage.py", "the ranked rows get their folder's name"),
    "version.rename": ("plugins/tideline/models/store.py", "a trained version gets its name"),
    "champion.log": ("plugins/tideline/models/store.py", "a line is added to the log of champions"),
    "shown.rename": ("plugins/tideline/serving/shown.py", "what a generation shows gets its file's name"),
    "fence.take": ("plugins/tideline/serving/lock.py", "a fencing number is taken"),
    "snapshot.seal": ("plugins/tideline/serving/snapshot.py", "the snapshot is closed and synced"),
    "snapshot.rename": ("plugins/tideline/serving/snapshot.py", "the snapshot gets its published name"),
    "vectors.merge": ("plugins/tideline/serving/publisher.py", "the run's vectors are merged into LanceDB"),
    "vectors.tag": ("embeddings/store.py", "a version of a LanceDB table gets its generation's tag"),
    "manifest.write": ("plugins/tideline/serving/manifest.py", "the manifest is written"),
    "pointer.swap": ("plugins/tideline/serving/pointer.py", "the readers' pointer is swapped"),
    "run.mark": ("plugins/tideline/serving/publisher.py", "the run is marked as published"),
    "cleanup.snapshot": ("plugins/tideline/serving/retention.py", "an old snapshot is deleted"),
    "cleanup.vectors": ("plugins/tideline/serving/retention.py", "versions of vectors that nobody needs are dropped"),
    "cleanup.run": ("plugins/tideline/serving/retention.py", "a run's folder is deleted"),
}
"""Every side effect: the module that has it, and what it does. Each has two failpoints: `.before` and `.after`."""

FAILPOINTS = tuple(f"{effect}.{side}" for effect in SIDE_EFFECTS for side in ("before", "after"))
SPECIFICATION = re.compile(r"(?P<name>[a-z_.]+)(?::(?P<passing>[1-9]\d*))?")

_armed: str | None = None
_at: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Pass a failpoint: nothing happens, unless the process is armed or watched. The name is a literal, one place."""
    if _at is not None:
        _at(name)


def parse(specification: str) -> tuple[str, int]:
    """Return the failpoint and the passing that `name` or `name:n` means; 1 where no passing is given.

    Raises
    ------
    ValueError
        If there is no such failpoint.
    """
    match = SPECIFICATION.fullmatch(specification)
    if not match or match["name"] not in FAILPOINTS:
        raise ValueError(f"no failpoint {specification!r}: write name or name:n, with one of {', '.join(FAILPOINTS)}")
    return match["name"], int(match["passing"] or 1)


def arm(specification: str | None) -> None:
    """Let the process die at a failpoint; None leaves it alone. Arming the same again goes on counting passings.

    Raises
    ------
    ValueError
        As `parse`.
    """
    global _armed, _at
    if specification is None or specification == _armed:
        return
    name, left = parse(specification)

    def kill(passed: str) -> None:
        nonlocal left
        left -= passed == name
        if not left:
            os.write(2, f"failpoint {name}: killed\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    _armed, _at = specification, kill


def watch(passing: Callable[[str], None]) -> None:
    """Call `passing` with the name of every failpoint that this process passes from now on, instead of dying there."""
    global _at
    _at = passing

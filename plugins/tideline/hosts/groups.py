"""Which files of a home belong together in the store, and which of them a stage reads and writes.

| group | refs | files |
|---|---|---|
| `lake`, `quarantine`, `shards` | one a unit, written once | batches and packs, refused rows, finished shards |
| `ledger`, `models`, `decisions`, `serving` | one, replaced by whoever read it | what changes, as a whole |
| `runs/<run>/<stage>` | one a stage, one a shard | the run's folder as the stage left it, or the shard's record |

The ref `serving` is the commit: what is published, manifests, published vectors and the pointer change in one write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RUN_STAGES = (
    *("open_run", "take_in", "check_staging", "build_behaviour", "has_users", "check_behaviour", "plan_texts"),
    *("collect_vectors", "join_vectors", "fuse_interests", "rank", "build_marts", "check_recommendations"),
    *("publish", "train_models"),
)
"""In their order: a stage begins from what the last one before it left, whatever became of a later one long ago."""
EMBED, COPY = "embed_shard", "copy_snapshot"
WITH_WAREHOUSE = ("check_behaviour", "has_users", "build_marts", "check_recommendations", "publish")
"""Stages that open `warehouse.duckdb`; the others leave it where it is."""
NOT_KEPT = re.compile(r"(^|/)(\.|publish\.lock$|stages\.jsonl$|dbt/|ahead_|snapshot\.duckdb|lock$|[^/]*\.lock$)")
"""Of a run and of shared folders: locks, what is half written, dbt's own, and what the ref says itself."""


class Group(NamedTuple):
    """Shared files: the patterns that find them in a home."""

    name: str
    patterns: tuple[str, ...]
    unit: re.Pattern[str] | None = None
    """For files that are written once: its group is the name of the unit that they belong to."""

    def files(self, root: Path) -> Iterator[Path]:
        """Yield the files of the group below a root."""
        for pattern in self.patterns:
            for file in sorted(root.glob(pattern)):
                path = file.relative_to(root).as_posix()
                if (file.is_symlink() or file.is_file()) and not NOT_KEPT.search(path):
                    yield file

    def ref_of(self, path: str) -> str:
        """Return the name of the ref that a file belongs to."""
        if self.unit is None:
            return self.name
        match = self.unit.match(path)
        assert match, path
        return f"{self.name}/{'/'.join(match.groups())}"


QUARANTINE = Group("quarantine", ("quarantine/*.parquet",), re.compile(r"quarantine/([^/]+)\.parquet$"))
LAKE = Group("lake", ("lake/batches/*/*",), re.compile(r"lake/batches/([^/]+)/"))
SHARDS = Group("shards", ("vectors/*/shards/*.parquet",), re.compile(r"vectors/([^/]+)/shards/([^/]+)\.parquet$"))
LEDGER = Group("ledger", ("vectors/*/text_vectors.lance/**/*",))
DECISIONS = Group("decisions", ("quarantine/discarded/*", "quarantine/expired.jsonl"))
MODELS = Group("models", ("models/**/*", "evaluation/*"))
SERVING = Group(
    "serving",
    (
        *("home.json", "serving/*.duckdb", "serving/generations/*", "serving/shown/*"),
        *("vectors/*/user_vectors.lance/**/*", "vectors/*/item_vectors.lance/**/*"),
    ),
)
IN_ORDER = (QUARANTINE, LAKE, SHARDS, LEDGER, DECISIONS, MODELS, SERVING)
"""In the order in which they are written: who sees a batch can see its refused rows."""

READS: dict[str, tuple[Group, ...]] = {
    "open_run": (SERVING,),
    "take_in": (QUARANTINE, LAKE, MODELS, SERVING),
    "check_staging": (QUARANTINE, LAKE),
    "build_behaviour": (LAKE,),
    "has_users": (LAKE,),
    "check_behaviour": (QUARANTINE, LAKE),
    "plan_texts": (LEDGER, SHARDS),
    EMBED: (SHARDS,),
    "collect_vectors": (LEDGER, SHARDS),
    "join_vectors": (MODELS,),
    "fuse_interests": (MODELS,),
    "rank": (MODELS,),
    "train_models": (MODELS,),
    "build_marts": (LAKE, DECISIONS, SERVING),
    "check_recommendations": (QUARANTINE, LAKE, SERVING),
    COPY: (),
    # The rest of what is published is read under the lock, by `commit.hold`.
    "publish": (LAKE, MODELS, SERVING),
}
"""The groups that a stage reads. Views of the warehouse are over the lake: who opens it needs the lake."""
WRITES: dict[str, tuple[Group, ...]] = {
    "take_in": (QUARANTINE, LAKE),
    "plan_texts": (LEDGER, SHARDS),
    EMBED: (SHARDS,),
    "collect_vectors": (LEDGER, SHARDS),
    "train_models": (MODELS,),
}


def is_published(path: str) -> bool:
    """Say whether a file of `SERVING` is only needed where something is published."""
    return path.startswith(("serving/snap_", "serving/current.duckdb", "vectors/"))


def run_files(root: Path, run_id: str) -> Iterator[Path]:
    """Yield the files of a run that later stages may read."""
    for folder in (root / "runs" / run_id, root / "data_docs" / run_id):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not NOT_KEPT.search(file.relative_to(folder).as_posix()):
                yield file


def kept_of_run(stage: str, part: str | None, path: str) -> bool:
    """Say whether a stage needs a file of its own run."""
    inside = path.split("/", 2)[2]
    if stage == EMBED:
        return inside in ("run.json", "vectors/shards/plan.json", f"vectors/shards/{part}.parquet")
    return inside != "warehouse.duckdb" or stage in WITH_WAREHOUSE


def kept_of_base(path: str) -> bool:
    """Say whether an hour needs a file of its base night."""
    inside = path.split("/", 2)[2]
    texts = inside.startswith("vectors/shards/") and inside != "vectors/shards/item_keys.parquet"
    return path.startswith("runs/") and inside != "warehouse.duckdb" and not texts

"""What a ranking run reads: the users' own past, what was learned from everybody, the items, the trained version."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tideline.models.store import find_version
from tideline.ranking.catalogue import Catalogue, load_catalogue
from tideline.ranking.learned.features import Prepared, prepare
from tideline.ranking.learned.from_run import load_past, numbers, read_users
from tideline.ranking.learned.knowledge import Knowledge, learn, load_knowledge, save_knowledge
from tideline.ranking.learned.past import Interests, Past
from tideline.ranking.learned.store import load
from tideline.ranking.learned.training import Trained
from tideline.ranking.learned.untrained import untrained
from tideline.ranking.plan import RankingError, RankingPlan, load_plan
from tideline.ranking.rules import ItemFacts, Rules, load_rules, read_categories
from tideline.run import Run

log = logging.getLogger(__name__)

KNOWLEDGE = "knowledge"
"""Folder of a run for what it learned from everybody: the hours after a night read it there."""
RANKER = "ranker"
"""Folder of a trained version for the ranking."""


@dataclass(frozen=True)
class Inputs:
    """All that scores depend on; blocks of users are cut from it."""

    plan: RankingPlan
    trained: Trained
    knowledge: Knowledge
    past: Past
    """Of the users in scope, without their vectors."""
    user_id: pa.Array
    catalogue: Catalogue
    user_vectors: Path
    rules: Rules
    facts: ItemFacts

    def block(self, first: int, last: int) -> Prepared:
        """Prepare users `first` to `last`, numbered from 0."""
        interests = _read_interests(self.user_vectors, self.past.vectors, first, last)
        return prepare(self.past.of_users(first, last, interests), self.knowledge)


def load_inputs(run: Run) -> Inputs:
    """Read what a run ranks by. A night learns from everybody and leaves it to its hours; an hour reads its base's.

    Raises
    ------
    RankingError
        If the base night's folder lacks what it learned, or the pinned version is gone.
    """
    base = run.root / "runs" / run.base if run.base else None
    item_tables = run.base_tables or run.tables
    loaded = load_past(run.tables, run.vectors, run.window.as_of, run.base_tables)
    nobody = np.zeros((0, loaded.past.vectors.shape[1]), dtype=np.float32)
    vectors = Interests(loaded.past.vectors, nobody, nobody, nobody)
    past = replace(loaded.past, interests_of=lambda _: vectors)
    if base is None:
        knowledge = learn(past)
        save_knowledge(knowledge, run.path / KNOWLEDGE)
    else:
        if not (base / KNOWLEDGE).is_dir():
            raise RankingError(f"the base night {run.base} has no folder {KNOWLEDGE}: rerun that night, then this hour")
        knowledge = load_knowledge(base / KNOWLEDGE)
        known = numbers(pa.chunked_array([loaded.user_id]), read_users(run.base_tables or run.tables))
        past = replace(past, known_as=np.append(known, -1))
    plan = load_plan(run)
    catalogue = load_catalogue(item_tables, loaded.item_id, loaded.available)
    return Inputs(
        plan=plan,
        trained=load_trained(run),
        knowledge=knowledge,
        past=past,
        user_id=loaded.user_id,
        catalogue=catalogue,
        user_vectors=run.vectors / "user_vectors.parquet",
        rules=load_rules(plan.settings),
        facts=ItemFacts(
            item_id=catalogue.item_id,
            categories=read_categories(catalogue.category.to_pylist()),
            vectors=past.vectors,
            age=knowledge.item["item_age"],
            allowed=catalogue.available,
        ),
    )


def load_trained(run: Run) -> Trained:
    """Return the ranking of the version that the run has pinned; without one, the one that needs no training."""
    if run.model is None:
        log.warning("no trained version for this run: a fixed blend ranks, see `make train`")
        return untrained()
    return load(find_version(run.root, run.model).folder / RANKER)


def _read_interests(file: Path, items: NDArray[np.float32], first: int, last: int) -> Interests:
    """Read the vectors of users `first` to `last`; rows of the file are in the order of the users' ids."""
    dimension = items.shape[1]
    matrices = {name: np.zeros((last - first + 1, dimension), np.float32) for name in ("long", "short", "fused")}
    if dimension and file.exists():
        rows = pq.ParquetFile(file, memory_map=True)
        start = 0
        for group in range(rows.num_row_groups):
            end = start + rows.metadata.row_group(group).num_rows
            low, high = max(first, start), min(last, end)
            if low < high:
                table = rows.read_row_group(group, columns=list(matrices)).slice(low - start, high - low)
                for name, matrix in matrices.items():
                    _fill(matrix[low - first : high - first], table[name].combine_chunks())
            start = end
    return Interests(items, **matrices)


def _fill(matrix: NDArray[np.float32], column: pa.Array) -> None:
    present = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    values = column.flatten().to_numpy(zero_copy_only=False)
    if values.size != present.size * matrix.shape[1]:
        raise RankingError(
            f"a user's vector has not the {matrix.shape[1]} dimensions of the items': fuse the run again"
        )
    matrix[present] = values.reshape(present.size, matrix.shape[1])

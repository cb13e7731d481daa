"""Ranked rows as Parquet, with the columns of `contracts.SCORED`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tideline import contracts
from tideline.ranking.because import Cited
from tideline.ranking.candidates import source_names
from tideline.ranking.events import LINEAR_PARTS
from tideline.ranking.pairs import Indices
from tideline.ranking.ranker import PARTS
from tideline.ranking.reasons import write_reasons

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan


@dataclass(frozen=True)
class Ranked:
    """The rows of a block, ordered by user and rank."""

    user: Indices
    item: Indices
    rank: Indices
    score: NDArray[np.float64]
    parts: NDArray[np.float64]
    """[rows, len(PARTS)]"""
    long_score: NDArray[np.float64]
    """NaN where there is none."""
    short_score: NDArray[np.float64]
    sources: Indices
    """Bits over `source_names()`."""
    cited: Cited


def build_table(ranked: Ranked, block: Block, catalogue: Catalogue, plan: RankingPlan) -> pa.Table:
    """Turn arrays into the table of `contracts.SCORED`."""
    rows = ranked.user.size
    columns = {
        "user_id": block.user_id.take(ranked.user),
        "rank": ranked.rank,
        "item_id": catalogue.item_id.take(ranked.item),
        "score": ranked.score,
        "long_score": pa.array(ranked.long_score, from_pandas=True),
        "short_score": pa.array(ranked.short_score, from_pandas=True),
        "score_parts": _score_parts(ranked.parts),
        "rules": pa.array([[]] * rows, scored_schema().field("rules").type),
        "reason": write_reasons(
            block, catalogue, plan.trend_days, ranked.user, ranked.item, ranked.parts, ranked.cited
        ),
        "because": _because(ranked.cited, block, catalogue),
        "candidate_sources": _source_lists(ranked.sources),
        "model_version": pa.repeat(plan.model_version, rows),
    }  # fmt: skip
    # An empty list of strings would be of type null.
    columns["reason"] = pa.array(columns["reason"], pa.string())
    return pa.table(columns).cast(scored_schema())


@cache
def scored_schema() -> pa.Schema:
    """Return the Arrow schema of `contracts.SCORED`, which stays the only place that names its columns."""
    with duckdb.connect() as connection:
        connection.execute(f"create table scored ({contracts.ddl(contracts.SCORED)})")
        return connection.execute("select * from scored").to_arrow_table().schema


def write_part(table: pa.Table, file: Path) -> None:
    """Write one part."""
    pq.write_table(table, file, compression="zstd")


def _score_parts(parts: NDArray[np.float64]) -> pa.Array:
    rows, width = parts.shape
    names = pa.DictionaryArray.from_arrays(np.tile(np.arange(width, dtype=np.int32), rows), pa.array(PARTS))
    values = pa.StructArray.from_arrays([names.cast(pa.string()), pa.array(parts.ravel())], ["part", "value"])
    return pa.ListArray.from_arrays(_offsets(np.full(rows, width)), values)


def _because(cited: Cited, block: Block, catalogue: Catalogue) -> pa.Array:
    known = cited.event >= 0
    listed = block.events
    event = cited.event[known]
    item = listed.item[event]
    names = pa.DictionaryArray.from_arrays(listed.part[event].astype(np.int32), pa.array(LINEAR_PARTS))
    values = pa.StructArray.from_arrays(
        [
            listed.event_id.take(event),
            catalogue.item_id.take(pa.array(item, mask=item < 0)),
            listed.event_type.take(event),
            listed.event_at.take(event),
            names.cast(pa.string()),
            pa.array(cited.contribution[known]),
        ],
        ["event_id", "item_id", "event_type", "event_at", "part", "contribution"],
    )
    return pa.ListArray.from_arrays(_offsets(known.sum(axis=1)), values)


def _source_lists(sources: Indices) -> pa.Array:
    names = source_names()
    proposed = (sources[:, None] >> np.arange(len(names))) & 1 == 1
    values = pa.DictionaryArray.from_arrays(np.nonzero(proposed)[1].astype(np.int32), pa.array(names))
    return pa.ListArray.from_arrays(_offsets(proposed.sum(axis=1)), values.cast(pa.string()))


def _offsets(lengths: NDArray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))

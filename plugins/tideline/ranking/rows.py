"""Ranked rows as Parquet, with the columns of `contracts.SCORED`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tideline import contracts
from tideline.ranking.because import LINEAR_PARTS, Cited
from tideline.ranking.catalogue import Catalogue
from tideline.ranking.events import Events
from tideline.ranking.learned.past import Indices
from tideline.ranking.learned.ranking import Parts
from tideline.ranking.learned.sources import NAMES

EXPLORATION = "exploration"
"""The source of items that no other proposed: they are shown to find out whom they are for."""
SOURCE_NAMES = (*NAMES, EXPLORATION)


@dataclass(frozen=True)
class Listed:
    """The rows of a block, `[n]` each, ordered by user and rank."""

    user: Indices
    item: Indices
    rank: Indices
    score: NDArray[np.float64]
    parts: Parts
    long_score: NDArray[np.float64]
    """NaN where there is none."""
    short_score: NDArray[np.float64]
    sources: Indices
    """Bits over `SOURCE_NAMES`."""
    cited: Cited
    rules: pa.Array
    """Column `rules`: what rules did to the row."""
    reasons: list[str]


def build_table(
    listed: Listed, user_id: pa.Array, catalogue: Catalogue, events: Events, model_version: str
) -> pa.Table:
    """Turn arrays into the table of `contracts.SCORED`.

    Parameters
    ----------
    user_id
        Of the block's users.
    """
    rows = listed.user.size
    columns = {
        "user_id": user_id.take(pa.array(listed.user)),
        "rank": listed.rank,
        "item_id": catalogue.item_id.take(pa.array(listed.item)),
        "score": listed.score,
        "long_score": pa.array(listed.long_score, from_pandas=True),
        "short_score": pa.array(listed.short_score, from_pandas=True),
        "score_parts": _score_parts(listed.parts, rows),
        "rules": listed.rules,
        # An empty list of strings would be of type null.
        "reason": pa.array(listed.reasons, pa.string()),
        "because": _because(listed.cited, events, catalogue),
        "candidate_sources": _source_lists(listed.sources),
        "model_version": pa.repeat(model_version, rows),
    }
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


def _score_parts(parts: Parts, rows: int) -> pa.Array:
    width = len(parts)
    names = pa.DictionaryArray.from_arrays(np.tile(np.arange(width, dtype=np.int32), rows), pa.array(list(parts)))
    values = np.stack(list(parts.values()), axis=1).ravel()
    pairs = pa.StructArray.from_arrays([names.cast(pa.string()), pa.array(values)], ["part", "value"])
    return pa.ListArray.from_arrays(_offsets(np.full(rows, width)), pairs)


def _because(cited: Cited, events: Events, catalogue: Catalogue) -> pa.Array:
    known = cited.event >= 0
    event = pa.array(cited.event[known])
    item = events.item[cited.event[known]]
    names = pa.DictionaryArray.from_arrays(cited.part[known].astype(np.int32), pa.array(LINEAR_PARTS))
    values = pa.StructArray.from_arrays(
        [
            events.event_id.take(event),
            catalogue.item_id.take(pa.array(item, mask=item < 0)),
            events.event_type.take(event),
            events.event_at.take(event),
            names.cast(pa.string()),
            pa.array(cited.contribution[known]),
        ],
        ["event_id", "item_id", "event_type", "event_at", "part", "contribution"],
    )
    return pa.ListArray.from_arrays(_offsets(known.sum(axis=1)), values)


def _source_lists(sources: Indices) -> pa.Array:
    proposed = (sources[:, None] >> np.arange(len(SOURCE_NAMES))) & 1 == 1
    values = pa.DictionaryArray.from_arrays(np.nonzero(proposed)[1].astype(np.int32), pa.array(SOURCE_NAMES))
    return pa.ListArray.from_arrays(_offsets(proposed.sum(axis=1)), values.cast(pa.string()))


def _offsets(lengths: NDArray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))

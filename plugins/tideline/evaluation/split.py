"""Global time split: everybody's events before one instant are known, those of the days after it are to be foretold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa


@dataclass(frozen=True)
class Split:
    """One cutoff with what lies before and after it."""

    cutoff: datetime
    horizon_days: float
    history: pa.Table
    """user_id, item_id, event_at of the events before the cutoff, each event once."""
    test: pa.Table
    """user_id, item_id: each pair once, events in [cutoff, cutoff + horizon), users with history only."""
    test_new: pa.Table
    """`test` without the pairs that `history` holds."""


def split_events(
    event_files: Sequence[Path], cutoff: datetime, horizon_days: float, ignored_types: Collection[str] = ()
) -> Split:
    """Split lake events at a cutoff.

    Parameters
    ----------
    event_files
        Parquet with the columns of `contracts.LAKE_EVENTS`.
    cutoff
        In UTC; an aware one is converted.
    horizon_days
        Length of the test time.
    ignored_types
        Event types that are no sign of interest; events without an item are left out as well.

    Raises
    ------
    ValueError
        If the horizon is not positive or there are no files.
    """
    if horizon_days <= 0:
        raise ValueError(f"the horizon must be more than 0 days, got {horizon_days}")
    if not event_files:
        raise ValueError("the lake holds no events: run `make run` first")
    if cutoff.tzinfo is not None:
        cutoff = cutoff.astimezone(UTC).replace(tzinfo=None)
    with duckdb.connect() as connection:
        connection.execute(
            """
            create temp table events as
            select distinct on (event_id) event_id, user_id, item_id, event_at
            from read_parquet($files, union_by_name = true)
            where item_id is not null and not list_contains($ignored::varchar[], event_type) and event_at < $until
            order by event_id, landed_at, batch_id
            """,
            {
                "files": [str(file) for file in event_files],
                "ignored": sorted(ignored_types),
                "until": cutoff + timedelta(days=horizon_days),
            },
        )
        pairs = (
            "select distinct user_id, item_id from events where event_at >= $1 "
            "and user_id in (select user_id from events where event_at < $1)"
        )
        known = "(select user_id, item_id from events where event_at < $1)"

        def read(query: str) -> pa.Table:
            return connection.execute(query, [cutoff]).to_arrow_table()

        return Split(
            cutoff=cutoff,
            horizon_days=horizon_days,
            history=read("select user_id, item_id, event_at from events where event_at < $1 order by event_id"),
            test=read(f"{pairs} order by user_id, item_id"),
            test_new=read(f"{pairs} and (user_id, item_id) not in {known} order by user_id, item_id"),
        )

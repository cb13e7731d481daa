"""What a ranking run goes by: the resolved settings of the dbt run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq

from tideline.run import Run


class RankingError(ValueError):
    """The ranking cannot run on what it was given; the message says what to mend."""


@dataclass(frozen=True)
class RankingPlan:
    """Resolved settings of one ranking run."""

    as_of: datetime
    """UTC, without a zone."""
    top_k: int
    repeats_allowed: bool
    trend_days: float
    model_version: str
    settings: dict[str, Any]
    """The row of `run_settings`."""


def load_plan(run: Run) -> RankingPlan:
    """Read `run_settings` (one row) of the run's tables."""
    rows = pq.read_table(run.tables / "run_settings.parquet").to_pylist()
    if len(rows) != 1:
        raise RankingError(f"run_settings must have one row, found {len(rows)}: rebuild the behaviour tables")
    row = rows[0]
    return RankingPlan(
        as_of=row["as_of"],
        top_k=int(row["top_k"]),
        repeats_allowed=bool(row["repeats_allowed"]),
        trend_days=float(row["trend_days"]),
        model_version=run.model_version,
        settings=row,
    )

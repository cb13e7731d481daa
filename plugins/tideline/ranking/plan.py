"""What a ranking run goes by: the resolved settings of the dbt run and the weights of the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from tideline.run import Run

WEIGHTS = ("interest", "own_history", "trend", "popularity")
"""Weights the blended score needs, from the seed `score_weights`."""


class RankingError(ValueError):
    """The ranking cannot run on what it was given; the message says what to mend."""


@dataclass(frozen=True)
class RankingPlan:
    """Resolved settings of one ranking run."""

    as_of: datetime
    top_k: int
    repeats_allowed: bool
    history_half_life_days: float | None
    trend_days: float
    weights: Mapping[str, float]
    model_version: str
    threads: int
    """Of the search for nearest items."""


def load_plan(connection: duckdb.DuckDBPyConnection, run: Run, threads: int) -> RankingPlan:
    """Read `run_settings` (one row) and `score_weights` of the run's tables.

    Raises
    ------
    RankingError
        If a weight is missing, unknown, negative or not finite; the message names it.
    """
    row = connection.execute(
        """
        select as_of, top_k::bigint, repeats_allowed::boolean, history_half_life_days::double, trend_days::double
        from read_parquet($1)
        """,
        [str(run.tables / "run_settings.parquet")],
    ).fetchall()
    if len(row) != 1:
        raise RankingError(f"run_settings must have one row, found {len(row)}: rebuild the behaviour tables")
    found = connection.execute(
        "select part, weight::double from read_parquet($1) order by part", [str(run.tables / "score_weights.parquet")]
    ).fetchall()
    as_of, top_k, repeats_allowed, half_life, trend_days = row[0]
    return RankingPlan(
        as_of=as_of,
        top_k=top_k,
        repeats_allowed=repeats_allowed,
        history_half_life_days=half_life,
        trend_days=trend_days,
        weights=_checked(dict(found)),
        model_version=run.model_version,
        threads=threads,
    )


def _checked(weights: dict[str, float | None]) -> dict[str, float]:
    if missing := [part for part in WEIGHTS if weights.get(part) is None]:
        raise RankingError(f"the seed score_weights lacks a weight for {', '.join(missing)}: add a row for each")
    if unknown := sorted(set(weights) - {*WEIGHTS, "base"}):
        raise RankingError(f"the seed score_weights has unknown parts {unknown}, expected {list(WEIGHTS)}")
    checked = {part: float(weights[part] or 0.0) for part in WEIGHTS}
    if bad := [part for part, weight in checked.items() if not 0 <= weight < float("inf")]:
        raise RankingError(f"weights must be finite and not negative, mend {bad} in the seed score_weights")
    return checked

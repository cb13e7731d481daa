"""The layer that a run brings: its rows counted, hashed and measured in the run's own warehouse, before any lock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from tideline.run import Run
from tideline.serving.fingerprint import fingerprint
from tideline.serving.shown import click_through
from tideline.serving.tables import WarehouseIncompleteError


@dataclass(frozen=True)
class Layer:
    """What a run would publish."""

    rows: int
    users: int
    rows_hash: str
    content_hash: str
    metrics: tuple[dict[str, Any], ...]
    stages: tuple[dict[str, Any], ...]
    accounting: dict[str, int]
    """What became of the accepted events: the columns of `run_history`."""


def utc(moment: datetime) -> datetime:
    """Return an instant as the tables hold it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def measure(desk: duckdb.DuckDBPyConnection, run: Run) -> Layer:
    """Count, hash and measure the layer of a run on its desk.

    Raises
    ------
    WarehouseIncompleteError
        If the rows belong to another generation or `as_of` than the run's.
    """
    table = f"built.{run.kind}_recommendations"
    _check_origin(desk, run, table)
    # Not intake and quarantine: they grow with every batch that lands, without a result changing.
    content = [table, "built.user_interests"]
    if run.kind == "nightly":
        content += ["built.popular_recommendations", "built.popular_by_category", "built.items"]
    rows, users = _one(desk, f"select count(*), count(distinct user_id) from {table}")
    return Layer(
        rows=rows,
        users=users,
        rows_hash=fingerprint(desk, [table]),
        content_hash=fingerprint(desk, content),
        metrics=tuple(_metrics(desk, run, table)),
        stages=tuple(_stages(run)),
        accounting=_accounting(desk),
    )


def _check_origin(desk: duckdb.DuckDBPyConnection, run: Run, table: str) -> None:
    expected = (run.generation, utc(run.window.as_of))
    found = desk.execute(
        f"select generation, as_of from {table} union select generation, as_of from built.user_interests"
    ).fetchall()
    if strangers := [row for row in found if row != expected]:
        raise WarehouseIncompleteError(
            f"{run.warehouse} holds rows of {strangers[0][0]} as of {strangers[0][1]}, expected {expected[0]} as of "
            f"{expected[1]}: rerun the run from its first task"
        )


ACCOUNTED = (
    "accepted",
    "used",
    "outside_windows",
    "not_yet_due",
    "too_late",
    "duplicates",
    "taken_back",
    "no_interest",
)


TEXT_METRICS = (
    ("texts_asked", "asked", "texts"),
    ("texts_unique", "unique", "texts"),
    ("texts_known", "known", "texts"),
    # Known texts were counted by the run that embedded them: each text is embedded, and perhaps cut, once.
    ("texts_embedded", "embedded", "texts"),
    ("texts_failed", "failed", "texts"),
    ("texts_truncated", "truncated", "texts"),
    ("tokens_embedded", "tokens", "tokens"),
    ("embedding_seconds", "seconds", "s"),
)
"""What the ledger saved and what was embedded: metric, count of `collect_vectors`, unit."""


def _accounting(desk: duckdb.DuckDBPyConnection) -> dict[str, int]:
    listed = ", ".join(ACCOUNTED)
    row = _one(desk, f"select {listed} from (select *, used_long + used_short as used from built.run_accounting)")
    return dict(zip(ACCOUNTED, row, strict=True))


def _metrics(desk: duckdb.DuckDBPyConnection, run: Run, table: str) -> list[dict[str, Any]]:
    items, users, users_with_vector = (
        _one(desk, query)[0]
        for query in (
            "select count(distinct item_id) / nullif((select count(*) from built.items where is_available), 0) "
            f"from {table}",
            f"select count(distinct user_id) from {table}",
            "select count(gate) / nullif(count(*), 0) from built.user_interests",
        )
    )
    measured = [
        ("coverage", run.kind, items, None),
        ("users_served", run.kind, users, "users"),
        ("users_with_interest_vector", run.kind, users_with_vector, None),
    ]
    shares = desk.execute(
        "select coalesce(candidate_sources[1], 'none'), count(*) / sum(count(*)) over () "
        f"from {table} group by 1 order by 1"
    ).fetchall()
    recorded = _recorded(run)
    texts: dict[str, float] = next((line["rows"] for line in recorded if line["stage"] == "collect_vectors"), {})
    measured += [(metric, run.kind, float(texts[name]), unit) for metric, name, unit in TEXT_METRICS if name in texts]
    measured += [("share_of_rows", f"{run.kind}, first source {source}", share, None) for source, share in shares]
    measured += click_through(desk)
    metrics = [dict(zip(("metric", "subject", "value", "unit"), values, strict=True)) for values in measured]
    return metrics + (json.loads(run.faithfulness.read_text()) if run.faithfulness.exists() else [])


def _stages(run: Run) -> list[dict[str, Any]]:
    """Return the stages before publish; of one that many workers did, the sum of their seconds and the highest peak."""
    stages: dict[str, dict[str, Any]] = {}
    for line in _recorded(run):
        stage = stages.setdefault(line["stage"], {"stage": line["stage"], "seconds": 0.0, "peak_mb": None})
        stage["seconds"] = round(stage["seconds"] + (line.get("seconds") or 0.0), 3)
        stage["peak_mb"] = max(filter(None, (stage["peak_mb"], line.get("peak_mb"))), default=None)
    return list(stages.values())


def _recorded(run: Run) -> list[dict[str, Any]]:
    """Return what the stages before publish recorded; of a stage, or its part, that was repeated, the last attempt."""
    file = run.path / "stages.jsonl"
    stages: dict[tuple[str, str | None], dict[str, Any]] = {}
    for text in file.read_text().splitlines() if file.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the line of a stage that was killed while writing it
        if line["stage"] == "publish" or line.get("failure"):
            continue
        if line["stage"] == "plan_texts":  # another plan has other shards
            stages = {key: kept for key, kept in stages.items() if key[0] != "embed_shard"}
        stages[line["stage"], line.get("part")] = line
    return list(stages.values())


def _one(desk: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = desk.execute(query).fetchone()
    assert row is not None
    return tuple(row)

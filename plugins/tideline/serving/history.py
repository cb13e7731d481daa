"""The tables `run_history` and `quality_metrics` of a snapshot, from manifests, evaluations and the snapshot before."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from tideline.contracts import QUALITY_METRICS, RUN_HISTORY, Column
from tideline.run import Run
from tideline.serving.layer import utc
from tideline.serving.manifest import Manifest, list_manifests
from tideline.serving.tables import create_written, literal
from tideline.window import parse_instant

log = logging.getLogger(__name__)


def write_history(desk: duckdb.DuckDBPyConnection, run: Run, own: Manifest, *, has_present: bool) -> None:
    """Write both tables into `next`: every generation that has a manifest, and `own`, whose manifest comes later."""
    entries = [entry for entry in list_manifests(run.root) if entry.generation != own.generation] + [own]
    current = {own.layers["nightly"], *own.layers["hours"]}
    desk.execute("create or replace temp table current_layers (generation varchar)")
    desk.executemany("insert into current_layers values (?)", [[name] for name in current if name])
    _load(desk, run, "told", RUN_HISTORY, (_history_row(entry) for entry in entries))
    # Of a layer that stays, the snapshot before is the witness: a manifest may be of an attempt that died.
    held = "select * from {0} where is_current and generation in (from current_layers) and generation <> {1}"
    witnessed = held.format("present.run_history", literal(own.generation)) if has_present else "from told where false"
    create_written(
        desk,
        "run_history",
        f"(with witnessed as ({witnessed}) "
        "select * replace (generation in (from current_layers) as is_current) from ("
        "from witnessed union all by name from told where generation not in (select generation from witnessed)"
        ") order by as_of, fence)",
    )
    measured = [row for entry in entries for row in _metric_rows(entry)] + _evaluated(run.root)
    _load(desk, run, "measured", QUALITY_METRICS, measured)
    create_written(desk, "quality_metrics", "(from measured order by all)")


def _history_row(entry: Manifest) -> dict[str, Any]:
    return {
        "generation": entry.generation,
        "kind": entry.kind,
        "window_start": _plain(entry.window["start"]),
        "window_end": _plain(entry.window["end"]),
        "as_of": _plain(entry.window["as_of"]),
        "committed_at": _plain(entry.committed_at),
        "is_current": False,
        "fence": entry.fence,
        "rows_hash": entry.rows_hash,
        "users": entry.users,
        "rows": entry.rows,
        **entry.accounting,
        "seconds": sum(float(stage["seconds"] or 0) for stage in entry.stages),
        "vars": json.dumps(entry.vars, sort_keys=True),
        "stages": list(entry.stages),
        "model_version": entry.model_version,
    }


def _metric_rows(entry: Manifest) -> list[dict[str, Any]]:
    where = {"as_of": _plain(entry.window["as_of"]), "generation": entry.generation}
    return [{**metric, **where} for metric in entry.metrics]


def _evaluated(root: Path) -> list[dict[str, Any]]:
    """Return the rows of `evaluation/*.json`. A file that cannot be read costs its figures, not the publication."""
    rows: list[dict[str, Any]] = []
    for file in sorted((root / "evaluation").glob("*.json")):
        try:
            content = json.loads(file.read_text())
            where = {"as_of": _plain(content["as_of"]), "generation": content["generation"]}
            rows += [
                {**{name: row.get(name) for name in ("metric", "subject", "value", "unit")}, **where}
                for row in content["rows"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s is no evaluation (%s): its figures are left out", file, type(error).__name__)
    return rows


def _load(
    desk: duckdb.DuckDBPyConnection, run: Run, name: str, columns: Iterable[Column], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Put rows into a temporary table, by way of a file: row by row takes a millisecond each.

    The file goes at once. It has the whole history: left in every run's folder, it would grow with the square of it.
    """
    file = run.path / f"{name}.jsonl"
    try:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        types = ", ".join(f'"{column.name}": {literal(column.type)}' for column in columns)
        desk.execute(
            f"create or replace temp table {name} as from read_json({literal(str(file))}, "
            f"format = 'newline_delimited', columns = {{{types}}})"
        )
    finally:
        file.unlink(missing_ok=True)


def _plain(moment: str) -> str:
    return utc(_instant(moment)).isoformat()


def _instant(moment: str) -> datetime:
    return parse_instant(moment)

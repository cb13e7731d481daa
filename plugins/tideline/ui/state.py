"""What the pages show: the published run history, and the records that the gates wrote. Counts, no personal text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline.gates import SUITES
from tideline.run import RUN_ID

RUNS_SHOWN = 20
HISTORY = """
select generation, kind, window_start, window_end, as_of, committed_at, is_current, users, rows, seconds, model_version
from run_history
order by committed_at desc, fence desc
limit ?
"""


def read_history(settings: Settings) -> list[dict[str, Any]] | None:
    """Return the published runs, newest first, as columns of `contracts.RUN_HISTORY`; None if nothing is published."""
    from tideline.serving.pointer import NothingPublishedError
    from tideline.serving.readers import connect

    try:
        connection = connect(settings)
    except NothingPublishedError:
        return None
    with connection:
        cursor = connection.execute(HISTORY, [RUNS_SHOWN])
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read_gates(settings: Settings) -> list[dict[str, Any]]:
    """Return the newest runs that met a gate: `run_id`, the records of its `suites` by stage, those that `shut`.

    Runs that a gate stopped are here too: they never reach the run history.
    """
    folder = settings.root / "data_docs"
    found = [(path.stat().st_mtime_ns, path) for path in folder.glob("*") if RUN_ID.match(path.name)]
    newest = [path for _, path in sorted(found, reverse=True)[:RUNS_SHOWN]]
    runs = []
    for path in newest:
        records = _read_records(path)
        shut = [record["suite"] for record in records if not record["passed"]]
        runs.append({"run_id": path.name, "suites": records, "shut": shut})
    return runs


def find_page(settings: Settings, run_id: str, suite: str) -> Path | None:
    """Return the Data Docs page of a run's suite; None for anything that is not the name of one."""
    if not RUN_ID.match(run_id) or suite not in SUITES:
        return None
    page = settings.root / "data_docs" / run_id / f"{suite}.html"
    return page if page.is_file() else None


def _read_records(folder: Path) -> list[dict[str, Any]]:
    files = [folder / f"{suite}.json" for suite in SUITES]
    records = [json.loads(file.read_text()) for file in files if file.exists()]
    for record in records:
        broken = [outcome for outcome in record["outcomes"] if not outcome["passed"]]
        failed = {outcome["expectation"] for outcome in broken if outcome["level"] == "fail"}
        # Whoever reads that a measure failed need not read that it is also worth a warning.
        record["broken"] = [
            outcome for outcome in broken if outcome["level"] == "fail" or outcome["expectation"] not in failed
        ]
    return records

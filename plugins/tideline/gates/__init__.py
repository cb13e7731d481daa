"""Gates: Great Expectations between the stages. A `fail` stops the run before publish, a `warn` is shown.

One suite a file: `<suite>.py` says in words what is expected, `<suite>.sql` measures it in DuckDB as one row of
aggregates. The limits are in `thresholds.yml`. Great Expectations judges the row and renders the Data Docs page.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import time

from embeddings.settings import Settings
from tideline.gates.measures import GateError, Outcome, Value, count_rows
from tideline.run import Run, write_atomically

__all__ = ["SUITES", "GateError", "check"]

SUITES = ("staging", "behaviour", "recommendations")
log = logging.getLogger(__name__)


def check(suite: str, run: Run, settings: Settings) -> dict[str, int | float | str]:
    """Measure what a stage of a run left, judge it, and write the record and the Data Docs page.

    Both are written below `<root>/data_docs/<run_id>/`, as `<suite>.json` and `<suite>.html`, also where the gate is
    shut. They hold counts and limits, no row and no text of anybody.

    Parameters
    ----------
    suite
        `staging` (what came in), `behaviour` (the warehouse's windows and dimensions) or `recommendations` (the marts).

    Returns
    -------
    dict
        `expectations`, `warnings`, `not_measured` and `without_past` (counts), `warned` (the sentences), `data_docs`
        (relative to the root) and `seconds`. What has no past to compare with passes, and is logged and recorded.

    Raises
    ------
    GateError
        If an expectation of level `fail` does not hold.
    RuntimeError
        If an expectation cannot be evaluated.
    """
    if suite not in SUITES:
        raise ValueError(f"no suite {suite!r}, expected one of {', '.join(SUITES)}")
    from tideline.gates import thresholds, validation
    from tideline.gates.aggregates import query_quarantine

    started = time.perf_counter()
    rules = importlib.import_module(f"tideline.gates.{suite}")
    values: dict[str, Value] = rules.measure(run, settings)
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise RuntimeError(f"gate {suite} of {run.run_id}: {name} is {value}, a count or a share must be finite")
    measures = {measure.name: measure for measure in rules.MEASURES}
    limits = {
        name: levels
        for name, levels in thresholds.read_limits(suite, run.source, measures).items()
        if measures[name].kind in ("", run.kind)
    }
    planned = [
        validation.Expected(measures[name], level, limit, float(observed))
        for name, levels in limits.items()
        if (observed := values[name]) is not None
        for level, limit in levels.items()
    ]
    verdicts, page = validation.validate(suite, run, planned)
    outcomes = [
        Outcome(
            measure=expected.measure,
            level=expected.level,
            limit=expected.limit,
            observed=expected.observed,
            rows=count_rows(expected.measure, values),
            passed=passed,
            query=rules.look_further(expected.measure, run),
            beside={name: values[name] for name in expected.measure.beside},
        )
        for expected, passed in zip(planned, verdicts, strict=True)
    ]
    without = sorted(name for name in limits if values[name] is None)
    without_past = [name for name in without if measures[name].past]
    not_measured = [name for name in without if not measures[name].past]
    folder = run.root / "data_docs" / run.run_id
    failed = [outcome for outcome in outcomes if not outcome.passed and outcome.level == "fail"]
    warned = [outcome.describe() for outcome in outcomes if not outcome.passed and outcome.level == "warn"]
    seconds = round(time.perf_counter() - started, 3)
    record = {
        "suite": suite,
        "run_id": run.run_id,
        "generation": run.generation,
        "kind": run.kind,
        "as_of": run.window.as_of.isoformat(),
        "passed": not failed,
        "seconds": seconds,
        "quarantine_query": query_quarantine(run),
        "measured": values,
        "not_measured": not_measured,
        "without_past": without_past,
        "outcomes": [outcome.to_json() for outcome in outcomes],
    }
    write_atomically(folder / f"{suite}.html", page)
    write_atomically(folder / f"{suite}.json", json.dumps(record, indent=2, sort_keys=True))
    for sentence in warned:
        log.warning("gate %s of %s: %s", suite, run.run_id, sentence)
    if without_past:
        log.info(
            "gate %s of %s: no past, or too few rows, to compare with, passed: %s",
            suite,
            run.run_id,
            ", ".join(without_past),
        )
    if failed:
        raise GateError(suite, run.run_id, failed, str(folder / f"{suite}.html"), query_quarantine(run))
    return {
        "expectations": len(outcomes),
        "warnings": len(warned),
        "not_measured": len(not_measured),
        "without_past": len(without_past),
        "warned": "; ".join(warned),
        "data_docs": f"data_docs/{run.run_id}/{suite}.html",
        "seconds": seconds,
    }

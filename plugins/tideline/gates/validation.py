"""The only caller of Great Expectations: judges one row of aggregates and renders its Data Docs page.

SQL through an engine fails on DuckDB, and millions of rows as pandas cost gigabytes; one row costs a tenth of a second.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tideline.gates.measures import Level, Limit, Measure
from tideline.run import Run

SEVERITY = {"fail": "critical", "warn": "warning"}

# A page of Great Expectations asks eleven hosts for scripts and styles. Shown inside the Airflow UI it must ask none.
REMOTE = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>|url\([^)]*https?:[^)]*\)|<!--.*?-->",
    re.DOTALL | re.IGNORECASE,
)
HOME_LINK = re.compile(r'href="[^"]*index\.html"')
SUITE_LINK = re.compile(r'<a href="[^"]*/expectations/[^"]*"\s*>(.*?)</a>', re.DOTALL)
STYLE = """<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1f2933; }
table { border-collapse: collapse; width: 100%; margin: .3rem 0 1rem; }
th, td { border: 1px solid #cbd2d9; padding: .3rem .6rem; text-align: left; vertical-align: top; }
.sticky, .collapse { display: none; }
.ge-breadcrumbs { list-style: none; padding: 0; }
.fa-check-circle::before { content: '\\2714'; color: #18794e; }
.fa-times::before { content: '\\2718'; color: #c62828; }
.fa-exclamation-triangle::before { content: '!'; color: #b45309; }
</style>"""


@dataclass(frozen=True)
class Expected:
    """An expectation before it is judged."""

    measure: Measure
    level: Level
    limit: Limit
    observed: float


def validate(suite: str, run: Run, planned: Sequence[Expected]) -> tuple[list[bool], str]:
    """Judge the observed values.

    Returns
    -------
    tuple
        One verdict for each planned expectation, in order, and the Data Docs page as HTML.

    Raises
    ------
    RuntimeError
        If Great Expectations could not evaluate an expectation: an exception is neither a pass nor a fail.
    """
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    # Two hundred lines of its own doings would stand in the task's log before the one that says what failed.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = _context()
    frame = pd.DataFrame([{expected.measure.name: expected.observed for expected in planned}])
    asset = context.data_sources.add_pandas("tideline").add_dataframe_asset(suite)
    rules = gx.ExpectationSuite(suite)
    for position, expected in enumerate(planned):
        rules.add_expectation(
            gxe.ExpectColumnMaxToBeBetween(
                column=expected.measure.name,
                min_value=expected.limit.low,
                max_value=expected.limit.high,
                severity=SEVERITY[expected.level],
                description=f"{expected.level}: {expected.measure.words}, {expected.limit}",
                meta={"position": position},
            )
        )
    definition = gx.ValidationDefinition(
        name=suite, data=asset.add_batch_definition_whole_dataframe(run.run_id), suite=context.suites.add(rules)
    )
    result = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame},
        run_id=gx.RunIdentifier(run_name=run.run_id, run_time=run.window.as_of),
    )
    verdicts = dict(_verdict(suite, one) for one in result.results)
    if sorted(verdicts) != list(range(len(planned))):
        raise RuntimeError(f"gate {suite}: {len(planned)} expectations were planned, {len(verdicts)} judged")
    return [verdicts[position] for position in range(len(planned))], _render(result)


def _context() -> Any:
    """Return a context that lives in memory, sends nothing home and draws no bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        ),
    )


def _verdict(suite: str, result: Any) -> tuple[int, bool]:
    raised = list(_exceptions(result.exception_info))
    if raised:
        name = result.expectation_config.kwargs["column"]
        raise RuntimeError(f"gate {suite}: {name} could not be evaluated: {'; '.join(raised)}")
    # The page's renderer does not know numpy's numbers.
    result.result["observed_value"] = float(result.result["observed_value"])
    return result.expectation_config.meta["position"], bool(result.success)


def _exceptions(info: Any) -> Iterable[str]:
    """Messages in an `exception_info`: one flat mapping, or one for each metric."""
    parts = [info] if "raised_exception" in (info or {}) else (info or {}).values()
    return [str(part["exception_message"]) for part in parts if part["raised_exception"]]


def _render(result: Any) -> str:
    """Render one self-contained page. The site builder would delete the pages of other runs."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer().render(result)
    page = REMOTE.sub("", DefaultJinjaPageView().render(document, show_how_to_buttons=False))
    page = SUITE_LINK.sub(r"\1", HOME_LINK.sub('href="../../"', page))
    return page.replace("</head>", f"{STYLE}</head>", 1)

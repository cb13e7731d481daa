"""The warehouse of a run: one DuckDB file, built by dbt from the batches that the run has pinned.

Heavy packages are imported inside functions: a DAG file may import this package.
"""

from __future__ import annotations

import yaml

from embeddings.failpoints import failpoint
from embeddings.settings import Settings
from tideline.dbt import PROJECT, WarehouseError, build
from tideline.run import Run
from tideline.warehouse.relations import ITEM_TABLES, attach_results, count, export, prepare

BEHAVIOUR_SELECT = ("path:seeds", "path:models/intermediate", "path:models/marts/behaviour")
RECOMMENDATION_SELECT = ("path:models/marts/recommendations",)
LANDED = ("path:models/intermediate/landed",)
NIGHTLY_ONLY = ("tag:nightly_only",)
UNIT_TESTS = ("test_type:unit",)
"""Unit tests see made-up rows: they belong to development, not to a run."""

EXPORTED = (
    "run_settings",
    "dim_items",
    "dim_users",
    "long_window_behaviour",
    "short_window_behaviour",
    "user_events",
    "item_popularity",
    "item_trend",
    "event_texts",
)

__all__ = [
    "BEHAVIOUR_SELECT",
    "EXPORTED",
    "ITEM_TABLES",
    "PROJECT",
    "RECOMMENDATION_SELECT",
    "WarehouseError",
    "attach_results",
    "build",
    "build_behaviour",
    "build_marts",
    "export",
    "prepare",
]


def build_behaviour(run: Run, settings: Settings) -> dict[str, int | float]:
    """Build the run's warehouse up to the behaviour tables, from nothing, and export them to `run.tables`.

    Returns
    -------
    dict
        Counts of `models`, `tests`, `warnings`, `seconds`, and rows: `users`, `long_events`, `short_events`, `items`.

    Raises
    ------
    WarehouseError
        If a var given for the run is no setting, or a model or test fails; nothing is exported then.
    """
    _check_vars(run)
    prepare(run, settings)
    exclude = (*LANDED, *UNIT_TESTS, *(NIGHTLY_ONLY if run.base else ()))
    built = _build(run, settings, BEHAVIOUR_SELECT, exclude)
    export(run, EXPORTED, settings)
    tables = {
        "users": "int_users__in_scope",
        "long_events": "long_window_behaviour",
        "short_events": "short_window_behaviour",
        "items": "dim_items",
    }
    return {**built, **count(run, tables)}


def build_marts(run: Run, settings: Settings) -> dict[str, int | float]:
    """Build the tables that readers see, from the behaviour tables and what ranking wrote.

    Returns
    -------
    dict
        Counts of `models`, `tests`, `warnings`, `seconds`, and rows: `recommendations`, `popular`.

    Raises
    ------
    WarehouseError
        If a model or test fails.
    """
    attach_results(run, settings)
    built = _build(run, settings, RECOMMENDATION_SELECT, UNIT_TESTS)
    return {
        **built,
        **count(run, {"recommendations": f"{run.kind}_recommendations", "popular": "popular_recommendations"}),
    }


def _check_vars(run: Run) -> None:
    """Refuse a misspelt var, which dbt would ignore without a word."""
    known = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["defaults"]
    unknown = sorted(set(run.vars) - set(known))
    if unknown:
        raise WarehouseError(f"no such dbt var: {', '.join(unknown)}; the settings are {', '.join(sorted(known))}")


def _build(run: Run, settings: Settings, select: tuple[str, ...], exclude: tuple[str, ...]) -> dict[str, float]:
    failpoint("warehouse.build.before")
    built = build(
        run.warehouse,
        select=select,
        exclude=exclude,
        source=run.source,
        vars=run.vars,
        target_path=run.path / "dbt",
        cache=settings.root / "cache" / "dbt",
        settings=settings,
    )
    failpoint("warehouse.build.after")
    return built

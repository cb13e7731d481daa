"""`make train`: the training DAG once, through Airflow itself, and what was decided."""

from __future__ import annotations

from embeddings.settings import Settings
from tideline.commands.dag_runs import prepare, run_dag
from tideline.commands.progress import StageWatcher
from tideline.commands.run import find_as_of
from tideline.report import row, write_report


def train(settings: Settings, as_of: str | None) -> None:
    """Train a version from what lies before `as_of` and print whether it became champion, and why.

    Raises
    ------
    RunError
        If the DAG run fails, or if nothing says which `as_of` to take.
    ValueError
        If `as_of` is no time.
    """
    instant = find_as_of(settings, as_of)
    print(f"Tideline: {settings.source}, landing {settings.landing_path}, home {settings.root}")
    dags = prepare(settings)
    with StageWatcher(settings.root) as watcher:
        figures = run_dag(dags, "training", instant, watcher)
    figures.append(row("megabytes", "peak memory", max(line["peak_mb"] for line in watcher.lines), "MiB"))
    print(f"Figures: {write_report('train', figures, settings)}")

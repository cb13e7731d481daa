"""Every gate of every DAG has a button to its Data Docs page, and no other task has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tideline.ui.links import DataDocsLink


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    from tideline.commands.dag_runs import load_dags

    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    return load_dags()


def test_gates_and_only_gates_have_the_button(dags: dict) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            names = [link.name for link in task.operator_extra_links]
            assert names == (["Data Docs"] if task.task_id.startswith("check_") else [])


def test_the_button_leads_to_the_page_of_the_run(dags: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/team/")
    task = dags["nightly_recommendations"].get_task("check_behaviour").prepare_for_execution()
    task.op_args = ["nightly-20001123T000000Z-0123abcd"]
    assert DataDocsLink().get_link(task, ti_key=None) == (
        "https://airflow.example.org/team/tideline/data-docs/nightly-20001123T000000Z-0123abcd/behaviour.html"
    )

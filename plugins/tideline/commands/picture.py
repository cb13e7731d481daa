"""`make picture`: the picture of DAGs, tasks and assets in `dags/README.md`, drawn from the DAG files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tideline.report import REPOSITORY

if TYPE_CHECKING:
    from airflow.sdk import DAG

README = REPOSITORY / "dags" / "README.md"
BEGIN, END = "<!-- picture: begin (make picture) -->", "<!-- picture: end -->"


def draw(dags: dict[str, DAG]) -> str:
    """Return a Mermaid flowchart: one box a DAG with its tasks in order, arrows from and to assets."""
    lines = ["```mermaid", "flowchart LR"]
    for dag_id, dag in sorted(dags.items()):
        lines.append(f"  subgraph {dag_id}")
        for task in dag.topological_sort():
            lines.append(f"    {dag_id}.{task.task_id}[{task.task_id}]")
        for task in dag.topological_sort():
            lines += [f"    {dag_id}.{task.task_id} --> {dag_id}.{later}" for later in _next_tasks(dag, task.task_id)]
        lines.append("  end")
        for task in dag.topological_sort():
            lines += [f"  {_asset(asset)} --> {dag_id}.{task.task_id}" for asset in task.inlets]
            lines += [f"  {dag_id}.{task.task_id} --> {_asset(asset)}" for asset in task.outlets]
    return "\n".join([*lines, "```"])


def replace_picture(text: str, picture: str) -> str:
    """Return the README with its picture replaced."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{picture}\n{END}{rest.split(END)[1]}"


def write_picture(readme: Path = README) -> None:
    """Draw the picture again into the README."""
    from tideline.commands.dag_runs import load_dags

    readme.write_text(replace_picture(readme.read_text(), draw(load_dags())))


def _next_tasks(dag: DAG, task_id: str) -> list[str]:
    """Return the direct successors that no other successor leads to: every task takes what comes from `open_run`."""
    later = dag.get_task(task_id).downstream_task_ids
    beyond = {name for other in later for name in dag.get_task(other).get_flat_relative_ids(upstream=False)}
    return sorted(later - beyond)


def _asset(asset: object) -> str:
    # The source is a setting: the picture shows its place, so that it is the same for every source.
    name = str(asset.uri).removeprefix("tideline://").split("/", 1)[1]  # type: ignore[attr-defined]
    return f'{name.replace("/", ".")}(["tideline://SOURCE/{name}"])'

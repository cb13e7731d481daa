"""From a gate's task in the Airflow UI to its Data Docs page: a link for the log, and a button on the task instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from tideline.ui.plugin import PREFIX

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, XComArg
    from airflow.sdk.types import TaskInstanceKey


class DataDocsLink(BaseOperatorLink):
    """The button `Data Docs`. Airflow asks for it after the task has ended, also after a failure."""

    name = "Data Docs"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the page that the gate wrote for the run it was given."""
        return page_of(str(operator.op_args[0]), operator.task_id.removeprefix("check_"))  # type: ignore[attr-defined]


def page_of(run_id: str, suite: str) -> str:
    """Return the address of a Data Docs page in the Airflow UI."""
    from airflow.configuration import conf

    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    return f"{base}{PREFIX}/data-docs/{run_id}/{suite}.html"


def with_gate_link(gate: XComArg) -> XComArg:
    """Give the task of a gate its button; the task is called `check_<suite>` and takes the opened run."""
    gate.operator.operator_extra_links = (DataDocsLink(),)  # type: ignore[attr-defined]
    return gate

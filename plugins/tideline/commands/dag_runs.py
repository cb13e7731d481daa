"""DAGs run once and in this process, through Airflow itself: what `make run` and `make train` share."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from embeddings.settings import Settings
from tideline import airflow_home
from tideline.commands.progress import POLL_SECONDS, StageWatcher
from tideline.report import REPOSITORY, row
from tideline.window import Kind

if TYPE_CHECKING:
    from airflow.sdk import DAG

DAG_IDS: dict[Kind, str] = {
    "nightly": "nightly_recommendations",
    "hourly": "hourly_recommendations",
    "training": "train_models",
}


class RunError(Exception):
    """A DAG run did not finish; the message says what to mend."""


def prepare(settings: Settings) -> dict[str, DAG]:
    """Make this process the source's Airflow, its database ready, and return the DAGs by their ids."""
    # The person who typed the command is the one who retries it.
    airflow_home.enter(settings, TIDELINE_TASK_RETRIES="0", AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR")
    print("Preparing Airflow ...", flush=True)
    airflow_home.migrate(settings)
    return load_dags()


def load_dags() -> dict[str, DAG]:
    """Parse the DAG files; a file that does not parse is an error."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(REPOSITORY / "dags"))
    if bag.import_errors:
        raise RunError("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
    return dict(bag.dags)


def run_dag(dags: dict[str, DAG], kind: Kind, as_of: datetime, watcher: StageWatcher) -> list[dict[str, Any]]:
    """Run the DAG of a kind for the window that ends at `as_of`; return its figures: seconds of stages and in all.

    Raises
    ------
    RunError
        If it fails; the message has the reason of each stage that failed.
    """
    dag = dags[DAG_IDS[kind]]
    # Whoever typed the command sees how long it takes; and Airflow 3.3 looks deadlines up by ids that only a DAG in
    # its database has, so that `dag.test` fails on one.
    dag.deadline = None
    started = time.perf_counter()
    seen = len(watcher.lines)
    print(f"\n{dag.dag_id} as of {as_of:%Y-%m-%d %H:%M} UTC", flush=True)
    dag_run = dag.test(logical_date=as_of, run_conf={"as_of": as_of.isoformat()})
    seconds = time.perf_counter() - started
    time.sleep(2 * POLL_SECONDS)  # let the watcher read the last line
    own = watcher.lines[seen:]
    if dag_run.state != "success":
        failed = sorted(task.task_id for task in dag_run.get_task_instances(state=["failed"]))
        failures = [f"{line['stage']}: {line['failure']}" for line in own if line.get("failure")]
        why = "\n".join(failures) or "the log above says why"
        raise RunError(f"{dag.dag_id} as of {as_of:%Y-%m-%dT%H:%M} failed in {', '.join(failed)}.\n{why}")
    if kind == "training":
        print(f"  {own[-1]['rows']['version']}: {own[-1]['rows']['decision']}")
    elif own and own[-1]["stage"] != "publish":
        print("  nobody was active: nothing to publish, what was published stays")
    label = f"{kind} {as_of:%Y-%m-%dT%H:%M}"
    spent: dict[str, float] = {}
    for line in own:  # one line a stage, but one for each shard of `embed_shard`
        spent[line["stage"]] = spent.get(line["stage"], 0.0) + line["seconds"]
    stages = [row("seconds", f"{label} {stage}", round(value, 3), "s") for stage, value in spent.items()]
    return [*stages, row("dag_run_seconds", label, seconds, "s")]

"""The DAG files: present, without errors, wired and documented as the team expects."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from tideline import airflow_home
from tideline.commands.picture import README, draw, replace_picture

DAGS = Path(__file__).resolve().parents[2] / "dags"
IDS = ["hourly_recommendations", "maintenance", "nightly_recommendations", "train_models"]
PUBLISHING = [IDS[0], IDS[2]]
EMBEDDING = [*PUBLISHING, IDS[3]]


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(DAGS))


def test_the_bag_holds_the_dags_and_no_errors(bag: DagBag) -> None:
    assert sorted(bag.dag_ids) == IDS  # first: an empty bag has no errors either
    assert bag.import_errors == {}


@pytest.mark.parametrize("dag_id", IDS)
def test_a_dag_says_whose_it_is_and_what_to_do_when_it_fails(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert {"tideline", dag_id.split("_")[0]} <= set(dag.tags)
    assert dag.doc_md and "When it fails" in dag.doc_md
    assert dag.catchup is False
    for task in dag.tasks:
        assert task.owner == "data-team"
        assert task.retries == 2
        assert task.queue in ("default", "warehouse", "gpu")


@pytest.mark.parametrize("dag_id", PUBLISHING)
def test_a_gate_stands_before_publish_and_publish_is_last(bag: DagBag, dag_id: str) -> None:
    order = [task.task_id for task in bag.dags[dag_id].topological_sort()]
    assert order[0] == "open_run"
    assert order[-2:] == ["check_recommendations", "publish"]
    assert order.index("check_staging") < order.index("build_behaviour") < order.index("check_behaviour")


def test_only_publish_has_an_outlet(bag: DagBag) -> None:
    with_outlets = {(dag_id, task.task_id) for dag_id in IDS for task in bag.dags[dag_id].tasks if task.outlets}
    assert with_outlets == {(dag_id, "publish") for dag_id in PUBLISHING}


def test_a_training_walks_the_way_of_a_night_and_publishes_nothing(bag: DagBag) -> None:
    night, training = (
        [task.task_id for task in bag.dags[dag_id].topological_sort()] for dag_id in ("nightly_recommendations", IDS[3])
    )
    shared = training[:-1]
    assert training[-1] == "train_models" and shared == night[: len(shared)]
    assert shared[-1] == "collect_vectors"


@pytest.mark.parametrize("dag_id", EMBEDDING)
def test_shards_go_to_gpu_workers_and_a_run_without_any_goes_on(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    shard = dag.get_task("embed_shard")
    assert (shard.queue, shard.pool) == ("gpu", airflow_home.GPU_POOL)
    assert shard.is_mapped and shard.upstream_task_ids == {"open_run", "plan_texts"}
    assert shard.downstream_task_ids == {"collect_vectors"}
    assert dag.get_task("collect_vectors").trigger_rule == "none_failed"
    assert dag.get_task("plan_texts").queue == dag.get_task("collect_vectors").queue == "warehouse"


def test_an_hour_never_waits_for_all_shards_of_a_night(bag: DagBag) -> None:
    hour, night, training = (bag.dags[dag_id].get_task("embed_shard") for dag_id in EMBEDDING)
    assert hour.priority_weight == night.priority_weight
    # The hour's weighs what comes after it, too; the others' only themselves.
    assert [task.weight_rule for task in (hour, night, training)] == ["downstream", "absolute", "absolute"]


def test_dag_files_stay_wiring() -> None:
    lengths = {file.name: len(file.read_text().splitlines()) for file in DAGS.glob("*.py")}
    assert lengths and max(lengths.values()) <= 110


def test_the_committed_picture_shows_the_dags_as_they_are(bag: DagBag) -> None:
    dags: dict[str, DAG] = dict(bag.dags)
    committed = README.read_text()
    assert replace_picture(committed, draw(dags)) == committed, "run `make picture`"

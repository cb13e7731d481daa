"""The stages of a run one after another in this process, in the order of the DAGs and without Airflow.

What Airflow adds (schedules, retries, pools, workers) is not here: for benchmarks, faults, evaluation and tests.
"""

from __future__ import annotations

from collections.abc import Callable

from tideline import stages
from tideline.run import name_run
from tideline.window import Kind, Window

_TO_BEHAVIOUR = ("open_run", "take_in", "check_staging", "build_behaviour", "check_behaviour")
_TO_VECTORS = ("plan_texts", "embed_shards", "collect_vectors")
_TO_READERS = (
    *_TO_VECTORS,
    *("join_vectors", "fuse_interests", "rank", "build_marts", "check_recommendations", "publish"),
)
STAGES: dict[Kind, tuple[str, ...]] = {
    "training": (*_TO_BEHAVIOUR, *_TO_VECTORS, "train_models"),
    "nightly": (*_TO_BEHAVIOUR, *_TO_READERS),
    "hourly": (*_TO_BEHAVIOUR, "copy_snapshot", *_TO_READERS),
}
"""In the order of the DAGs; `embed_shards` is all shards, one after the other. In a DAG, `copy_snapshot` runs beside
the stages after it.
"""
GATES = ("check_staging", "check_behaviour", "check_recommendations")


def walk(
    window: Window,
    token: str,
    *,
    first: str = "open_run",
    last: str | None = None,
    gates: bool = True,
    before: Callable[[str], None] = lambda stage: None,
) -> str:
    """Do the stages of a run from `first` to `last`, both included; return the run's id.

    Parameters
    ----------
    token
        Tells two runs of one window apart, as the id of a DAG run does.
    first
        A stage of `STAGES`; what comes before it must have been done by an earlier walk with the same token.
    gates
        Whether the gates are asked. They decide whether a run goes on, and change nothing.
    before
        Called with the name of each stage before it begins.

    Raises
    ------
    Whatever a stage raises, the walk ends there. An hour in which nobody was active ends after `build_behaviour`.
    """
    names = STAGES[window.kind]
    names = names[names.index(first) : names.index(last or names[-1]) + 1]
    opened = name_run(window, token)
    shards: list[str] | None = None
    for stage in names:
        if stage in GATES and not gates:
            continue
        before(stage)
        if stage == "open_run":
            stages.open_run(window, token)
        elif stage == "plan_texts":
            shards = stages.plan_texts(opened)
        elif stage == "embed_shards":
            for shard in _planned(opened) if shards is None else shards:
                stages.embed_shard(opened, shard)
        else:
            getattr(stages, stage)(opened)
        if stage == "build_behaviour" and window.kind == "hourly" and not stages.has_users(opened):
            break
    return opened


def _planned(opened: str) -> list[str]:
    from embeddings.model import describe_model
    from embeddings.settings import load_settings
    from embeddings.shard_files import read_plan

    settings = load_settings()
    plan = read_plan(settings.root / "runs" / opened / "vectors", describe_model(settings))
    return [shard.name for shard in plan.shards]

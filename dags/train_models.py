"""
## Training

Learns a version of everything that is trained, from what lies before `as_of`, and makes it the **champion** if it is
better than the present one on held-out days that the champion has not learned from, beyond noise. It publishes nothing.

**In**: landing files of the source.
**Out**: `models/<version>/` and, if it won, a line in `models/champions.jsonl`. The next night ranks with the champion;
an hour goes on with the version of its night. The figures enter `quality_metrics` with the next commit.

**When it fails**
- the champion stays, and nights and hours go on with it. The stages before `train_models` are those of a night: see
  `nightly_recommendations`.
- `train_models`: clear it; it starts from the run's tables and vectors, and a version is stored once.

**A bad champion**: `make models` lists the versions and the log; `make models ACTION=back` goes back to the champion
before, `make models ACTION=use VERSION=...` takes another one.

**By hand**: `make train AS_OF=...`, or trigger with `as_of`. What is trained for the past never replaces the champion
of later windows.
"""

from __future__ import annotations

from airflow.sdk import Asset, chain, dag, get_current_context, task

from embeddings.settings import load_settings
from tideline import assets, stages
from tideline.schedules import common_arguments, timetable
from tideline.ui.links import with_gate_link
from tideline.window import resolve

settings = load_settings()


@dag(
    dag_id="train_models",
    schedule=timetable(settings.training_schedule),
    max_active_runs=1,
    doc_md=__doc__,
    **common_arguments(settings, "train"),
)
def train_models() -> None:
    """Wire the stages of a training: those of a night up to the vectors, then learning."""

    @task(inlets=[Asset(assets.landing(settings))])
    def open_run() -> str:
        context = get_current_context()
        return stages.open_run(resolve("training", context), context["run_id"])

    opened = open_run()
    shards = task(stages.plan_texts, queue="warehouse")(opened)
    chain(
        task(stages.take_in, queue="warehouse")(opened),
        with_gate_link(task(stages.check_staging, queue="warehouse")(opened)),
        task(stages.build_behaviour, queue="warehouse")(opened),
        with_gate_link(task(stages.check_behaviour, queue="warehouse")(opened)),
        shards,
        # Last in its pool, as a night's.
        task(stages.embed_shard, queue="gpu", pool="gpu", weight_rule="absolute")
        .partial(opened=opened)
        .expand(shard=shards),
        # Every text may have its vector already: then there is no shard, and the run goes on.
        task(stages.collect_vectors, queue="warehouse", trigger_rule="none_failed")(opened),
        task(stages.train_models, queue="warehouse")(opened),
    )


train_models()

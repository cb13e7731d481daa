"""
## Nightly recommendations

Recomputes behaviour, vectors and recommendations for **everyone** and commits them as one generation.

**In**: landing files of the source.
**Out**: `serving/current.duckdb`: `nightly_recommendations` and all other published tables.

**When it fails**
- `take_in`: a landing folder, file or column is missing; the message names it. Put it right and clear the task.
- `check_*`: a gate refused. The log names the expectation, what was observed and expected, the Data Docs page and a
  query to look further. The previous generation goes on serving. Mend the data, or the threshold in
  `plugins/tideline/gates/thresholds.yml`, and clear the run from `open_run`.
- `join_vectors`: the space of the trained version is of another text model, or gone; the message names both.
- `embed_shard`: clear its failed map indexes; finished shards are kept, also when the run is opened again.
- anything else: clear the failed task; every stage starts from what the one before it left.

**By hand**: trigger with `as_of` (and `window_start`) for any window. A rerun of the same window and inputs changes
nothing.
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
    dag_id="nightly_recommendations",
    schedule=timetable(settings.nightly_schedule),
    max_active_runs=2,
    doc_md=__doc__,
    **common_arguments(settings, "nightly"),
)
def nightly_recommendations() -> None:
    """Wire the stages of a night."""

    @task(inlets=[Asset(assets.landing(settings))])
    def open_run() -> str:
        context = get_current_context()
        return stages.open_run(resolve("nightly", context), context["run_id"])

    opened = open_run()
    shards = task(stages.plan_texts, queue="warehouse")(opened)
    outlet = Asset(assets.recommendations(settings, "nightly"))
    chain(
        task(stages.take_in, queue="warehouse")(opened),
        with_gate_link(task(stages.check_staging, queue="warehouse")(opened)),
        task(stages.build_behaviour, queue="warehouse")(opened),
        with_gate_link(task(stages.check_behaviour, queue="warehouse")(opened)),
        shards,
        # Last in its pool: an hour does not wait until all shards of a night are done.
        task(stages.embed_shard, queue="gpu", pool="gpu", weight_rule="absolute")
        .partial(opened=opened)
        .expand(shard=shards),
        # Every text may have its vector already: then there is no shard, and the run goes on.
        task(stages.collect_vectors, queue="warehouse", trigger_rule="none_failed")(opened),
        task(stages.join_vectors, queue="warehouse")(opened),
        task(stages.fuse_interests, queue="warehouse")(opened),
        task(stages.rank, queue="warehouse")(opened),
        task(stages.build_marts, queue="warehouse")(opened),
        with_gate_link(task(stages.check_recommendations, queue="warehouse")(opened)),
        task(stages.publish, queue="warehouse", outlets=[outlet])(opened),
    )


nightly_recommendations()

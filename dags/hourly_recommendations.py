"""
## Hourly recommendations

Recomputes the users who were **active in the hour** (or touched by a late event) and replaces their rows only.

**In**: landing files, and the item tables of the latest nightly run before the hour.
**Out**: `serving/current.duckdb`: `hourly_recommendations`; the view `recommendations` prefers its rows. An hour
without events ends after `has_users`, as a success.

**When it fails**: as for `nightly_recommendations`: the log says what to mend, the previous generation goes on serving.
An hour that was missed needs no repair: the next night covers everyone.

**Early**: with `TIDELINE_HOURLY_BURST_MB` a run starts as soon as so many megabytes have landed: `dags/README.md`.

**By hand**: trigger with `as_of` (and `window_start`). Hours never wait for a night, nor a night for an hour.
"""

from __future__ import annotations

from airflow.sdk import Asset, chain, dag, get_current_context, task

from embeddings.settings import load_settings
from tideline import assets, stages
from tideline.schedules import common_arguments, or_on_burst
from tideline.ui.links import with_gate_link
from tideline.window import resolve

settings = load_settings()


@dag(
    dag_id="hourly_recommendations",
    schedule=or_on_burst(settings),
    max_active_runs=4,
    doc_md=__doc__,
    **common_arguments(settings, "hourly"),
)
def hourly_recommendations() -> None:
    """Wire the stages of an hour."""

    @task(inlets=[Asset(assets.landing(settings))])
    def open_run() -> str:
        context = get_current_context()
        return stages.open_run(resolve("hourly", context), context["run_id"])

    opened = open_run()
    shards = task(stages.plan_texts, queue="warehouse")(opened)
    outlet = Asset(assets.recommendations(settings, "hourly"))
    somebody = task.short_circuit(stages.has_users, queue="warehouse")(opened)
    published = task(stages.publish, queue="warehouse", outlets=[outlet])(opened)
    chain(
        task(stages.take_in, queue="warehouse")(opened),
        with_gate_link(task(stages.check_staging, queue="warehouse")(opened)),
        task(stages.build_behaviour, queue="warehouse")(opened),
        somebody,
        with_gate_link(task(stages.check_behaviour, queue="warehouse")(opened)),
        shards,
        task(stages.embed_shard, queue="gpu", pool="gpu").partial(opened=opened).expand(shard=shards),
        # Every text may have its vector already: then there is no shard, and the run goes on.
        task(stages.collect_vectors, queue="warehouse", trigger_rule="none_failed")(opened),
        task(stages.join_vectors, queue="warehouse")(opened),
        task(stages.fuse_interests, queue="warehouse")(opened),
        task(stages.rank, queue="warehouse")(opened),
        task(stages.build_marts, queue="warehouse")(opened),
        with_gate_link(task(stages.check_recommendations, queue="warehouse")(opened)),
        published,
    )
    # The larger part of an hour's bytes, copied beside what is computed.
    chain(somebody, task(stages.copy_snapshot, queue="warehouse")(opened), published)


hourly_recommendations()

"""What the tasks of a DAG run do, in order: thin calls into the rooms, each one timed and recorded.

Each stage takes the id of an opened run (Airflow reserves the name `run_id` for its own), does its work in the run's
own folder and returns counts. A stage may be repeated: it starts from what the stage before it left. `open_run` comes
first, `publish` is the only one whose effect others see.
"""

from __future__ import annotations

import functools
import logging
import shutil
from typing import Any

from embeddings.failpoints import arm, failpoint
from embeddings.settings import Settings, load_settings
from tideline.hosts.workplace import work_on
from tideline.pinning import pin
from tideline.recording import Counts, record, stage
from tideline.run import Run, load_run, name_run, write_atomically
from tideline.window import Window

log = logging.getLogger(__name__)
REPEATS = "repeats_allowed"


def open_run(window: Window, token: str) -> str:
    """Open the folder of a run, emptied if an earlier attempt of the same DAG run left one; return the run id.

    `token` tells two DAG runs of one window apart, so that each has a folder of its own.
    """
    settings = load_settings()
    # What is learned serves lists with repeats and without: it must not depend on which of them a run is asked for.
    given = {name: value for name, value in settings.vars.items() if window.kind != "training" or name != REPEATS}
    run_id = name_run(window, token)
    arm(settings.failpoint)
    work_on(settings, run_id, "open_run", functools.partial(_make_folder, run_id, window, given))
    log.info("run %s: events before %s, window from %s to %s", run_id, window.as_of, window.start, window.end)
    return run_id


@stage
def take_in(run: Run, settings: Settings) -> Counts:
    """Take new landing files into the lake, then pin the batches, base and name of this run."""
    from tideline.intake import take_in

    counts = take_in(settings)
    pinned = pin(run, settings)
    return {**counts, "pinned_batches": len(pinned.batches)}


@stage
def check_staging(run: Run, settings: Settings) -> Counts:
    """Gate after staging: is what came in fit to be used?"""
    return _check("staging", run, settings)


@stage
def build_behaviour(run: Run, settings: Settings) -> Counts:
    """Build the run's warehouse up to the behaviour tables with dbt."""
    from tideline import warehouse

    return dict(warehouse.build_behaviour(run, settings))


@stage
def check_behaviour(run: Run, settings: Settings) -> Counts:
    """Gate after the behaviour tables."""
    return _check("behaviour", run, settings)


def plan_texts(opened: str) -> list[str]:
    """Find the texts of the run that have no vector yet, store which shard embeds which, return the shards' names."""
    from embeddings.plan import plan_texts

    shards: list[str] = []

    def plan(run: Run, settings: Settings) -> Counts:
        items, event_texts = run.tables / "dim_items.parquet", run.tables / "event_texts.parquet"
        made = plan_texts(items, event_texts, run.vectors, settings, base=run.base_vectors)
        shards[:] = [shard.name for shard in made.shards]
        return {"shards": len(shards), "tokens": sum(shard.tokens for shard in made.shards), **made.counts}

    record("plan_texts", opened, plan)
    return shards


def embed_shard(opened: str, shard: str) -> Counts:
    """Embed the texts of one shard, on any worker; a repeated call finds it done."""
    from embeddings.shard import encode_shard

    def encode(run: Run, settings: Settings) -> Counts:
        record = encode_shard(run.vectors, shard, settings)
        return {**record, "failed": len(record["failed"])}

    return record("embed_shard", opened, encode, part=shard)


@stage
def collect_vectors(run: Run, settings: Settings) -> Counts:
    """Make the vectors of all shards visible in one commit, and give every text of the run its vector."""
    from embeddings.collect import collect_vectors

    return dict(collect_vectors(run.vectors, settings))


@stage
def join_vectors(run: Run, settings: Settings) -> Counts:
    """Join the vectors of text with behaviour in the space of the trained version; without one they stay."""
    from embeddings.join import join_vectors

    counts = join_vectors(
        run.tables,
        run.vectors,
        settings,
        model_id=_identity(run, settings),
        space_folder=run.space,
        base_vectors=run.base_vectors,
        everyone=run.of_everyone,
    )
    return dict(counts)


@stage
def fuse_interests(run: Run, settings: Settings) -> Counts:
    """Turn the windows into long, short and fused vectors, one row a user; the gate is the trained version's."""
    from embeddings.fusion.learned import GateError
    from embeddings.windows import interest_vectors

    gate = run.trained / "gate.safetensors" if run.trained else None
    model_id = _identity(run, settings)
    if gate and gate.exists():
        try:
            counts = interest_vectors(
                run.tables, run.vectors, run.window.as_of, settings, model_id=model_id, gate_file=gate
            )
            return {"gate": "learned", **counts}
        except GateError as error:
            log.warning("the fixed gate serves: %s", error)
    return {"gate": "fixed", **interest_vectors(run.tables, run.vectors, run.window.as_of, settings, model_id=model_id)}


@stage
def rank(run: Run, settings: Settings) -> Counts:
    """Candidates, scores, rules and reasons: the scored rows."""
    from tideline.ranking import rank

    return dict(rank(run, settings))


@stage
def train_models(run: Run, settings: Settings) -> Counts:
    """Learn a version from the run's past, and make it the champion if it is better. The last stage of a training."""
    from tideline.training import train_version

    return dict(train_version(run, settings))


@stage
def build_marts(run: Run, settings: Settings) -> Counts:
    """Build the tables that readers see with dbt."""
    from tideline import warehouse

    return dict(warehouse.build_marts(run, settings))


@stage
def check_recommendations(run: Run, settings: Settings) -> Counts:
    """Gate before publish."""
    return _check("recommendations", run, settings)


@stage
def copy_snapshot(run: Run, settings: Settings) -> Counts:
    """Copy the snapshot that an hour begins from, while its rows are computed. Publish does without, a copy later."""
    if settings.store is not None:
        from tideline.hosts.commit import fetch_ahead

        return {"copied_bytes": fetch_ahead()}
    from tideline.serving.snapshot import copy_ahead

    return {"copied_bytes": copy_ahead(run)}


@stage
def publish(run: Run, settings: Settings) -> Counts:
    """Commit the generation and swap the readers' pointer, unless a file that it was made of changed on the disk."""
    from tideline.serving import publish
    from tideline.serving.scrub import DamagedError, check_inputs

    try:
        check_inputs(run)
    except DamagedError as error:
        from airflow.sdk.exceptions import AirflowFailException

        # What is damaged stays so: no retry.
        raise AirflowFailException(str(error)) from None
    return dict(publish(run, settings))


def has_users(opened: str) -> bool:
    """Say whether anybody was active; an hour without anybody ends here, successfully."""
    return work_on(load_settings(), opened, "has_users", functools.partial(_has_users, opened))


def _make_folder(run_id: str, window: Window, given: dict[str, Any], settings: Settings) -> None:
    from tideline.serving.upgrade import open_home

    open_home(settings, create=True)
    run = Run(run_id, window, settings.root, settings.source, vars=given)
    failpoint("run.open.before")
    shutil.rmtree(run.path, ignore_errors=True)
    run.save()
    failpoint("run.open.after")


def _has_users(opened: str, settings: Settings) -> bool:
    import duckdb

    from tideline.serving.retention import MARKER

    run = load_run(opened, settings)
    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        row = connection.execute("select count(*) from int_users__in_scope").fetchone()
    if not row or not row[0]:
        write_atomically(run.path / MARKER, "{}")  # it has ended: its folder may go
    return bool(row and row[0])


def _identity(run: Run, settings: Settings) -> str:
    from embeddings.identity import vectors_id

    return vectors_id(settings, run.model if run.space else None)


def _check(suite: str, run: Run, settings: Settings) -> Counts:
    from airflow.sdk.exceptions import AirflowFailException

    from tideline.gates import GateError, check
    from tideline.ui.links import page_of

    try:
        return dict(check(suite, run, settings))
    except GateError as error:
        # The same rows fail the same gate again: no retry.
        raise AirflowFailException(f"{error}\nIn this UI: {page_of(run.run_id, suite)}") from None

"""`evaluate`: score what is published against what came after it, beside simple peers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from embeddings.settings import Settings
from tideline.evaluation.metrics import METRICS, average, score_users
from tideline.evaluation.peers import nearest_text, popular
from tideline.evaluation.split import Split, split_events
from tideline.evaluation.vectors import load_vectors
from tideline.intake import lake_files, list_batches
from tideline.report import print_table, row, write_report
from tideline.run import Run, load_run, write_atomically
from tideline.serving import manifest
from tideline.serving.readers import connect

K = 10
MODEL = "tideline"
Figure = dict[str, Any]


def evaluate_current(settings: Settings, horizon_days: float = 7) -> list[Figure]:
    """Score the published nightly layer on the days after its `as_of`, print the figures and keep them.

    The figures go to `reports/evaluate.json` and to `evaluation/<generation>.json`, from where the next commit takes
    them into `quality_metrics`. Subjects read `<model>/<cutoff date>/<repeats|new>/<segment>`: `repeats` is measured
    where repeats are allowed; `new` counts, in lists and test alike, only items that the user has no history with.
    Segments are `all`, and `active` and `quiet` users, with and without events in the short window.

    Returns
    -------
    list of dict
        Rows as `tideline.report.row` makes them. A published figure is compared with the best peer's.

    Raises
    ------
    ValueError
        If nothing is published, or no user with history has events in the days after.
    """
    published, interests, generation, as_of = _read_published(settings)
    run = _run_of(generation, settings)
    batches = [batch["batch_id"] for batch in list_batches(settings.root)]
    files, _ = lake_files(settings.root, batches)
    repeats_allowed, ignored_types = _read_rules(run)
    split = split_events(files, as_of, horizon_days, ignored_types)
    if split.test.num_rows == 0:
        raise ValueError(
            f"no known user has events in the {horizon_days:g} days after {as_of:%Y-%m-%d %H:%M}: "
            "land later events, or publish a nightly for an earlier AS_OF"
        )
    figures = []
    for mode in ("repeats", "new") if repeats_allowed else ("new",):
        test = split.test if mode == "repeats" else split.test_new
        lists = {MODEL: published, **dict(_peers(split, test, run, new_only=mode == "new"))}
        if mode == "new":
            lists[MODEL] = without_known(published, split.history)
        figures += _compare(lists, test, interests, f"{as_of:%Y-%m-%d}/{mode}")
    print_table(f"{generation}, {horizon_days:g} days after {as_of:%Y-%m-%d %H:%M} UTC", figures)
    write_report("evaluate", figures, settings)
    _keep(figures, generation, as_of, settings)
    return figures


def without_known(recommendations: pa.Table, history: pa.Table) -> pa.Table:
    """Drop the rows of items that their user has a history with and close the gaps in the ranks."""
    with duckdb.connect() as connection:
        connection.register("recommendations", recommendations)
        connection.register("history", history)
        return connection.execute(
            """
            select r.user_id, row_number() over (partition by r.user_id order by r.rank)::integer as rank, r.item_id
            from recommendations as r
            anti join history as h on h.user_id = r.user_id and h.item_id = r.item_id
            order by r.user_id, rank
            """
        ).to_arrow_table()


def _compare(lists: dict[str, pa.Table], test: pa.Table, interests: pa.Table, place: str) -> list[Figure]:
    scores = {model: score_users(table, test, K) for model, table in lists.items()}
    figures = []
    for segment, members in _segments(interests):
        means = {}
        for model, table in scores.items():
            part = table if members is None else table.filter(pc.is_in(table["user_id"], value_set=members))
            means[model] = average(part)
        if not means[MODEL]["users"]:
            continue
        figures.append(row("users", f"all/{place}/{segment}", means[MODEL]["users"], "users"))
        for metric in METRICS:
            peers = {model: mean[metric] for model, mean in means.items() if model != MODEL}
            best = max(peers, key=lambda model: peers[model])
            for model, mean in means.items():
                against = (f"{best}/{place}/{segment}", peers[best]) if model == MODEL else (None, None)
                figures.append(row(f"{metric}@{K}", f"{model}/{place}/{segment}", mean[metric], None, *against))
    return figures


def _segments(interests: pa.Table) -> Iterator[tuple[str, pa.Array | None]]:
    yield "all", None
    active = pc.greater(interests["short_events"], 0)
    yield "active", interests["user_id"].filter(active).combine_chunks()
    yield "quiet", interests["user_id"].filter(pc.invert(active)).combine_chunks()


def _peers(split: Split, test: pa.Table, run: Run, *, new_only: bool) -> Iterator[tuple[str, pa.Table]]:
    users = pc.unique(test["user_id"])
    yield "popular", popular(split.history, users, K, new_only=new_only)
    yield "popular_7d", popular(split.history, users, K, since=split.cutoff - timedelta(days=7), new_only=new_only)
    known = load_vectors(run, users)
    nearest = nearest_text(known.user_id, known.fused, known.item_id, known.items, split.history, K, new_only=new_only)
    yield "text_cosine", nearest


def _read_published(settings: Settings) -> tuple[pa.Table, pa.Table, str, datetime]:
    with connect(settings) as published:
        layer = published.execute("select distinct generation, as_of from nightly_recommendations").fetchall()
        if len(layer) != 1:
            raise ValueError("no nightly recommendations are published: run `make run` first")
        rows = published.execute(
            "select user_id, rank, item_id from nightly_recommendations order by user_id, rank"
        ).to_arrow_table()
        interests = published.execute("select user_id, short_events from user_interests").to_arrow_table()
    generation, as_of = layer[0]
    return rows, interests, generation, as_of


def _run_of(generation: str, settings: Settings) -> Run:
    entry = manifest.read_manifest(generation, settings.root)
    if entry is None:
        raise ValueError(f"generation {generation} has no manifest below {settings.root}: publish its window again")
    return load_run(entry.run_id, settings)


def _read_rules(run: Run) -> tuple[bool, list[str]]:
    """Return whether repeats are allowed and which event types are no sign of interest, as the run resolved them."""
    with duckdb.connect(str(run.warehouse), read_only=True) as warehouse:
        allowed = warehouse.execute("select repeats_allowed from run_settings").fetchone()
        ignored = warehouse.execute("select event_type from int_event_weights where weight = 0").fetchall()
    return bool(allowed and allowed[0]), [kind for (kind,) in ignored]


def _keep(figures: list[Figure], generation: str, as_of: datetime, settings: Settings) -> None:
    rows = [
        {**{name: figure[name] for name in ("metric", "subject", "value", "unit")}, "as_of": as_of.isoformat()}
        | {"generation": generation}
        for figure in figures
    ]
    content = {"generation": generation, "as_of": as_of.isoformat(), "rows": rows}
    write_atomically(
        settings.root / "evaluation" / f"{generation}.json", json.dumps(content, indent=2, allow_nan=False)
    )

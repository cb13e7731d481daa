"""The folder of a simulated run, as the stages before `publish` leave it, for `make bench-upkeep`."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.ledger import commit_shards
from embeddings.model import Model
from embeddings.settings import Settings
from embeddings.vector_files import text_vector_schema, to_column
from tideline.benches.simulated_hours import ITEMS, Hour, stamp
from tideline.contracts import SCORED, ddl
from tideline.run import Run, name_run
from tideline.walk import STAGES
from tideline.window import window_ending

TOP_K, TEXTS = 20, 10
"""Rows of a user; texts of an hour that are new."""
MODEL = Model("generated@0/64", 64, Path())
LOG_BYTES, DOCS_BYTES = 45_000, 150_000
"""Of a run: fifteen logs of 3 kB, as Airflow writes them; the Data Docs of three gates."""
TAIL = '"as_of" timestamp, "generation" varchar'
OTHERS = {
    "popular_recommendations": f"rank integer, item_id varchar, title varchar, category varchar, score double, {TAIL}",
    "popular_by_category": f"category varchar, rank integer, item_id varchar, title varchar, {TAIL}",
    "intake": "batch_id varchar, source varchar, file varchar, rows_read bigint",
    "quarantine_summary": "batch_id varchar, file varchar, rule varchar, reason varchar, count bigint",
    "run_accounting": "accepted bigint, used_long bigint, used_short bigint, outside_windows bigint, "
    "not_yet_due bigint, too_late bigint, duplicates bigint, taken_back bigint, no_interest bigint",
    "click_through": "subject varchar, exposures bigint, clicks bigint, clicks_without_exposure bigint, "
    "click_through_rate double",
}


def make_run(settings: Settings, hour: Hour, batches: tuple[str, ...], base: str | None) -> Run:
    """Write the folder of a run as the stages before `publish` leave it, and its Data Docs and logs."""
    window = window_ending(hour.kind, hour.ends)
    run = Run(
        run_id=name_run(window, "bench"),
        window=window,
        root=settings.root,
        source="canonical",
        batches=batches,
        base=base,
        generation=f"{hour.ends:%Y%m%dT%H%M%SZ}-{hour.kind}-{hour.number:08x}",
        model_version="bench",
    )
    run.save()
    told = [{"stage": name, "seconds": 1.0, "rows": {}, "peak_mb": 80.0} for name in STAGES[hour.kind]]
    (run.path / "stages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    _write_warehouse(run, hour)
    _write_vectors(run, hour)
    _fill_ledger(settings, run, hour)
    run.tables.mkdir()
    (run.tables / "dim_items.parquet").write_bytes(bytes(ITEMS * 100))
    for name, size in ((f"data_docs/{run.run_id}/staging.html", DOCS_BYTES), (f"airflow/logs/{run.run_id}", LOG_BYTES)):
        file = settings.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
        stamp(file, hour.ends)
        stamp(file.parent, hour.ends)
    return run


def _write_warehouse(run: Run, hour: Hour) -> None:
    as_of = hour.ends.replace(tzinfo=None)
    given = {"users": [f"u{number}" for number in hour.users()], "as_of": as_of, "generation": run.generation}
    with duckdb.connect(str(run.warehouse)) as connection:
        for kind in ("nightly", "hourly"):
            connection.execute(f"create table {kind}_recommendations ({ddl(SCORED)}, {TAIL})")
        for table, columns in OTHERS.items():
            connection.execute(f"create table {table} ({columns})")
        connection.execute(
            f"insert into {run.kind}_recommendations "
            f"select user_id, rank::integer, 'i' || hash(user_id, rank) % {ITEMS}, "
            "1.0 / rank, null, null, [{'part': 'base', 'value': 1.0 / rank}], [], 'a reason of some length', [], "
            "['popular'], 'bench', $as_of, $generation "
            f"from (select unnest($users::varchar[]) as user_id), range(1, {TOP_K + 1}) as r(rank)",
            given,
        )
        connection.execute(
            "create table user_interests as select unnest($users::varchar[]) as user_id, 9::bigint as long_events, "
            "1::bigint as short_events, 0.5::double as gate, $as_of as last_event_at, $as_of as as_of, "
            "$generation as generation",
            given,
        )
        connection.execute(
            f"create table items as select 'i' || n as item_id, 'Title ' || n as title, true as is_available, "
            f"$as_of as as_of, $generation as generation from range({ITEMS}) as r(n)",
            {"as_of": as_of, "generation": run.generation},
        )
        connection.execute("insert into run_accounting values (46, 1, 2, 4, 5, 7, 8, 10, 9)")
        # As the mart has it: a line for each batch that was ever pinned.
        connection.execute(
            "insert into intake select unnest($batches::varchar[]), 'canonical', 'f', 400",
            {"batches": list(run.batches)},
        )


def _write_vectors(run: Run, hour: Hour) -> None:
    run.vectors.mkdir(parents=True)
    random = np.random.default_rng(hour.number)
    users = hour.users()
    column = to_column(random.standard_normal((len(users), MODEL.dimension), dtype=np.float32))
    table = {"user_id": [f"u{number}" for number in users], **dict.fromkeys(("long", "short", "fused"), column)}
    table |= dict.fromkeys(("gate", "long_norm", "short_norm", "fused_norm"), pa.array([0.5] * len(users)))
    table["as_of"] = pa.array([hour.ends.replace(tzinfo=None)] * len(users), pa.timestamp("us"))
    pq.write_table(pa.table({**table, "model": [MODEL.model_id] * len(users)}), run.vectors / "user_vectors.parquet")
    vectors = to_column(np.random.default_rng(0).standard_normal((ITEMS, MODEL.dimension), dtype=np.float32))
    items = {"item_id": [f"i{number}" for number in range(ITEMS)], "vector": vectors, "model": [MODEL.model_id] * ITEMS}
    pq.write_table(pa.table(items), run.vectors / "item_vectors.parquet")


def _fill_ledger(settings: Settings, run: Run, hour: Hour) -> None:
    """Commit the vectors of an hour's new texts, as `collect_vectors` does."""
    random = np.random.default_rng(hour.number)
    vectors = random.standard_normal((TEXTS, MODEL.dimension), dtype=np.float32)
    rows = [[random.bytes(16) for _ in range(TEXTS)], to_column(vectors / np.linalg.norm(vectors, axis=1)[:, None])]
    shard = run.vectors / "shard.parquet"
    pq.write_table(pa.Table.from_arrays(rows, schema=text_vector_schema(MODEL.dimension)), shard)
    commit_shards(settings, MODEL, [shard])

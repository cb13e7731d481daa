"""`evaluate_current` on a small home written by hand: a published night, its run, and a lake that goes on after it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import log2
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings.settings import Settings
from tideline import contracts
from tideline.evaluation import evaluate_current
from tideline.run import Run
from tideline.serving.manifest import Manifest, write_manifest
from tideline.serving.pointer import serving_folder, snapshot_path, swap
from tideline.window import window_ending

AS_OF = datetime(2020, 6, 1)
GENERATION = "20200601T000000Z-nightly-0123abcd"
EVENTS = [
    # event, user, item, type, days after the cutoff
    ("e1", "ann", "a", "purchase", -9),
    ("e2", "ann", "a", "purchase", -1),
    ("e3", "bob", "b", "purchase", -20),
    ("e4", "cid", "b", "purchase", -20),
    ("f1", "ann", "a", "purchase", 1),
    ("f2", "ann", "c", "purchase", 2),
    ("f3", "bob", "c", "purchase", 3),
    ("f4", "bob", "d", "exposure", 3),
    ("f5", "new", "a", "purchase", 3),
    ("f6", "cid", "a", "purchase", 8),
]
LISTS = {"ann": "abc", "bob": "bac", "cid": "bca"}
VECTORS = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.6, 0.8]}
FUSED = {"ann": [1.0, 0.0], "bob": [0.0, 1.0], "cid": [0.0, 1.0]}


def write_lake(root: Path) -> None:
    folder = root / "lake" / "batches" / "b1"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(f"create table events ({contracts.ddl(contracts.LAKE_EVENTS)})")
        for event, user, item, kind, days in EVENTS:
            values = [event, user, item, kind, AS_OF + timedelta(days=days), None, None, "canonical", AS_OF, None, "b1"]
            connection.execute("insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.execute(f"copy events to '{folder / 'events.parquet'}' (format parquet)")
    batch = {"batch_id": "b1", "landed_at": AS_OF.isoformat(), "events": len(EVENTS), "items": 0}
    (folder / "batch.json").write_text(json.dumps(batch))


def write_vectors(run: Run) -> None:
    run.tables.mkdir(parents=True)
    run.vectors.mkdir(parents=True)
    kind = pa.list_(pa.float32(), 2)
    users = pa.table({"user_id": list(FUSED), "fused": pa.array(list(FUSED.values()), kind)})
    items = pa.table({"item_id": list(VECTORS), "vector": pa.array(list(VECTORS.values()), kind)})
    pq.write_table(users, run.vectors / "user_vectors.parquet")
    pq.write_table(items, run.vectors / "item_vectors.parquet")
    pq.write_table(pa.table({"item_id": list("abcd"), "is_available": [True] * 4}), run.tables / "dim_items.parquet")


def publish(root: Path, run: Run, *, repeats: bool) -> None:
    with duckdb.connect(str(run.warehouse)) as warehouse:
        warehouse.execute("create table run_settings as select $1::boolean as repeats_allowed", [repeats])
        weights = "values ('purchase', 3.0), ('exposure', 0.0)"
        warehouse.execute(f"create table int_event_weights as select * from ({weights}) as t (event_type, weight)")
    serving = serving_folder(root)
    serving.mkdir(parents=True)
    snapshot = snapshot_path(serving, GENERATION, 1)
    with duckdb.connect(str(snapshot)) as connection:
        connection.execute(
            "create table nightly_recommendations "
            "(user_id varchar, rank integer, item_id varchar, generation varchar, as_of timestamp)"
        )
        for user, items in LISTS.items():
            for rank, item in enumerate(items, start=1):
                row = [user, rank, item, GENERATION, AS_OF]
                connection.execute("insert into nightly_recommendations values (?, ?, ?, ?, ?)", row)
        interests = "values ('ann', 1), ('bob', 0), ('cid', 0)"
        connection.execute(f"create table user_interests as select * from ({interests}) as t (user_id, short_events)")
    swap(serving, snapshot)
    entry = Manifest(
        generation=GENERATION, run_id=run.run_id, kind="nightly", source="canonical", window=run.window.to_json(),
        model_version="m", vars={}, batches=("b1",), rows=9, users=3, rows_hash="", content_hash="",
        snapshot=snapshot.name, snapshot_bytes=0, fence=1, committed_at="2020-06-01T00:05:00+00:00", committed=True,
        complete=True, layers={}, vectors={},
    )  # fmt: skip
    write_manifest(entry, root)


@pytest.fixture
def make_home(tmp_path):
    def make(*, repeats):
        window = window_ending("nightly", AS_OF.replace(tzinfo=UTC))
        run = Run("nightly-20200601T000000Z-00000000", window, tmp_path, "canonical", generation=GENERATION)
        run.save()
        write_lake(tmp_path)
        write_vectors(run)
        publish(tmp_path, run, repeats=repeats)
        return Settings(source="canonical", home=tmp_path)

    return make


def values(rows, metric):
    return {row["subject"]: row["value"] for row in rows if row["metric"] == metric}


def test_figures_by_hand(make_home, capsys):
    settings = make_home(repeats=True)
    rows = evaluate_current(settings)
    ndcg = values(rows, "ndcg@10")
    two = 1 + 1 / log2(3)
    # ann wants a and c, bob wants c; cid's purchase is past the horizon, the exposure is no interest
    ann, bob = (1 + 1 / log2(4)) / two, 1 / log2(4)
    assert ndcg["tideline/2020-06-01/repeats/all"] == pytest.approx((ann + bob) / 2)
    assert ndcg["tideline/2020-06-01/repeats/active"] == pytest.approx(ann)
    assert ndcg["tideline/2020-06-01/repeats/quiet"] == pytest.approx(bob)
    # new items only: a leaves ann's list and test, b leaves bob's list
    assert ndcg["tideline/2020-06-01/new/active"] == pytest.approx(1 / log2(3))
    assert ndcg["tideline/2020-06-01/new/quiet"] == pytest.approx(1 / log2(3))
    # nobody has had c, so popularity cannot find it; ann's vector ranks a, c, b, bob's b, c, a
    assert ndcg["popular/2020-06-01/repeats/quiet"] == 0
    assert ndcg["popular_7d/2020-06-01/repeats/active"] == pytest.approx(1 / two)
    assert ndcg["text_cosine/2020-06-01/repeats/active"] == pytest.approx(1)
    assert ndcg["text_cosine/2020-06-01/new/all"] == pytest.approx(1)
    assert values(rows, "users")["all/2020-06-01/repeats/all"] == 2
    (own,) = [row for row in rows if row["metric"] == "ndcg@10" and row["subject"] == "tideline/2020-06-01/repeats/all"]
    assert own["compared_with"] == "text_cosine/2020-06-01/repeats/all"
    assert own["ratio"] == pytest.approx(own["value"] / ndcg["text_cosine/2020-06-01/repeats/all"])
    assert "ndcg@10" in capsys.readouterr().out


def test_figures_are_kept(make_home):
    settings = make_home(repeats=False)
    rows = evaluate_current(settings)
    assert {row["subject"].split("/")[2] for row in rows} == {"new"}
    report = json.loads((settings.root / "reports" / "evaluate.json").read_text())
    assert report["command"] == "evaluate" and report["rows"] == rows
    kept = json.loads((settings.root / "evaluation" / f"{GENERATION}.json").read_text())
    assert datetime.fromisoformat(kept["as_of"]) == AS_OF and kept["generation"] == GENERATION
    assert [(row["metric"], row["subject"], row["value"]) for row in kept["rows"]] == [
        (row["metric"], row["subject"], row["value"]) for row in rows
    ]
    assert all(set(row) == {column.name for column in contracts.QUALITY_METRICS} for row in kept["rows"])


def test_nothing_after_the_cutoff_is_said(make_home):
    settings = make_home(repeats=True)
    with pytest.raises(ValueError, match=r"no known user has events in the 0.5 days after 2020-06-01 00:00"):
        evaluate_current(settings, horizon_days=0.5)


def test_nothing_published_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="make run"):
        evaluate_current(Settings(source="canonical", home=tmp_path))

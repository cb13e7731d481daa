"""`python -m embeddings` as a worker runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.settings import load_settings
from embeddings.vector_files import VectorFile
from tideline import contracts


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "embeddings", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TIDELINE_HOME": str(home)},
    )


def test_texts_become_vectors_and_vectors_interests(tmp_path: Path) -> None:
    home, tables, vectors = tmp_path / "home", tmp_path / "tables", tmp_path / "vectors"
    tables.mkdir()
    pq.write_table(
        pa.table(
            {
                "item_id": ["i1", "i2", "i3"],
                "title": ["Heat", None, "Alien"],
                "category": ["Crime", None, "Horror|Sci-Fi"],
                "description": pa.array([None, None, None], pa.string()),
            }
        ),
        tables / "dim_items.parquet",
    )
    texts = pa.table({"user_id": ["ann", "ann"], "event_id": ["e1", "e2"], "event_text": ["Zanzibar nights", "?"]})
    pq.write_table(texts, tables / "event_texts.parquet")
    pq.write_table(pa.table({"user_id": ["bob", "ann"]}), tables / "dim_users.parquet")
    events = pa.table(
        {
            "user_id": ["ann", "ann"],
            "item_id": ["i1", None],
            "event_id": ["e1", "e2"],
            "decay_weight": pa.array([Decimal(1), Decimal(1)], pa.decimal128(18, 9)),
        }
    )
    pq.write_table(events, tables / "long_window_behaviour.parquet")
    pq.write_table(events.slice(0, 0), tables / "short_window_behaviour.parquet")

    items, event_texts = str(tables / "dim_items.parquet"), str(tables / "event_texts.parquet")
    embed = ["embed", "--items", items, "--events", event_texts, "--out", str(vectors)]
    done = run(home, *embed)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["items"], counts["item_vectors"], counts["events"], counts["event_vectors"]) == (3, 2, 2, 1)
    assert (counts["asked"], counts["empty"], counts["embedded"]) == (5, 2, 3)
    assert "Zanzibar" not in done.stderr and "Heat" not in done.stderr
    item_vectors = pq.read_table(vectors / "item_vectors.parquet")
    assert item_vectors.column_names == [column.name for column in contracts.ITEM_VECTORS]
    assert item_vectors["item_id"].to_pylist() == ["i1", "i3"]
    assert VectorFile(vectors / "event_vectors.parquet", "event_id").ids.to_pylist() == ["e1"]

    interests = ["interests", "--tables", str(tables), "--vectors", str(vectors)]
    done = run(home, *interests, "--as-of", "2026-03-01T00:00:00Z")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events_without_vector"] == 1
    rows = pq.read_table(vectors / "user_vectors.parquet").to_pylist()
    assert [(row["user_id"], row["gate"]) for row in rows] == [("ann", 1.0), ("bob", None)]


def test_an_unusable_model_is_an_error_in_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": ["i1"]}), tmp_path / "items.parquet")
    settings = load_settings(home=tmp_path, model="no-such-package")
    done = subprocess.run(
        [sys.executable, "-m", "embeddings", "embed", "--items", "items.parquet", "--events", "x", "--out", "out"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "TIDELINE_HOME": str(settings.root), "TIDELINE_MODEL": settings.model},
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "install it" in done.stderr

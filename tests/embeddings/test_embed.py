"""The texts of a run, block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings import embed
from embeddings.embed import embed_run
from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.vector_files import VectorFile

ITEMS = pa.schema([(name, pa.string()) for name in ("item_id", "title", "category", "description")])
EVENTS = pa.schema([(name, pa.string()) for name in ("user_id", "event_id", "event_text")])


def write(folder: Path, items: list[dict], events: list[dict]) -> tuple[Path, Path]:
    paths = folder / "dim_items.parquet", folder / "event_texts.parquet"
    pq.write_table(pa.Table.from_pylist(items, schema=ITEMS), paths[0])
    pq.write_table(pa.Table.from_pylist(events, schema=EVENTS), paths[1])
    return paths


def test_a_run_without_items_or_texts_gets_empty_files(tmp_path: Path, settings: Settings) -> None:
    counts = embed_run(*write(tmp_path, [], []), tmp_path / "vectors", settings)
    assert (counts["asked"], counts["embedded"], counts["item_vectors"]) == (0, 0, 0)
    for name in ("item", "event"):
        file = VectorFile(tmp_path / "vectors" / f"{name}_vectors.parquet", f"{name}_id")
        assert len(file.ids) == 0 and file.dimension == describe_model(settings).dimension
        assert file.rows_of(pa.array(["x", None])).tolist() == [-1, -1]


def test_items_reviews_and_blocks_share_each_text(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "TEXTS_A_BLOCK", 2)
    items = [{"item_id": name, "title": title} for name, title in (("a", "Heat."), ("b", "?"), ("c", "Heat."))]
    events = [{"event_id": "e1", "event_text": "Heat."}, {"event_id": "e2"}, {"event_id": "e3", "event_text": "dull"}]
    counts = embed_run(*write(tmp_path, items, events), tmp_path / "vectors", settings)
    assert (counts["asked"], counts["empty"], counts["embedded"]) == (6, 2, 2)
    item_file = VectorFile(tmp_path / "vectors" / "item_vectors.parquet", "item_id")
    event_file = VectorFile(tmp_path / "vectors" / "event_vectors.parquet", "event_id")
    assert item_file.ids.to_pylist() == ["a", "c"] and event_file.ids.to_pylist() == ["e1", "e3"]
    heat = item_file.take(np.array([0, 1]))
    assert np.array_equal(heat[0], heat[1])
    assert np.array_equal(event_file.take(event_file.rows_of(pa.array(["e1"])))[0], heat[0])


def test_what_is_cut_or_longer_than_the_model_reads_is_counted_once_and_only_when_embedded(
    tmp_path: Path, settings: Settings
) -> None:
    events = [
        {"event_id": "short", "event_text": "a cup of tea"},
        {"event_id": "long", "event_text": "tea " * 900},
        {"event_id": "megabyte", "event_text": "tea " * 250_000},
        # One token for the model: only the cut tells that its end was not read.
        {"event_id": "word", "event_text": "x" * 1_000_000},
        {"event_id": "markup", "event_text": "<br>" * 20_000 + "unread"},
        {"event_id": "nan", "event_text": "nan"},
    ]
    files = write(tmp_path, [{"item_id": "i", "title": "None", "description": "y" * 50_000}], events)
    counts = embed_run(*files, tmp_path / "vectors", settings)
    assert (counts["embedded"], counts["empty"], counts["truncated"]) == (5, 2, 4)
    again = embed_run(*files, tmp_path / "again", settings)
    assert (again["embedded"], again["known"], again["truncated"]) == (0, 5, 0)

"""The texts of a run become vectors: plan, shards and collect as one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from embeddings import collect
from embeddings.collect import collect_vectors
from embeddings.embed import embed_run
from embeddings.model import describe_model
from embeddings.plan import plan_texts
from embeddings.settings import Settings, load_settings
from embeddings.shard import encode_shard
from embeddings.vector_files import ITEMS_FILE, TEXT, VectorFile

WriteRun = Callable[..., tuple[Path, Path]]


def test_a_run_without_items_or_texts_gets_empty_files(write_run: WriteRun, tmp_path: Path, settings: Settings) -> None:
    counts = embed_run(*write_run(), tmp_path / "vectors", settings)
    assert (counts["asked"], counts["embedded"], counts["item_vectors"]) == (0, 0, 0)
    for name in ("item", "event"):
        file = VectorFile(tmp_path / "vectors" / f"{name}_vectors.parquet", f"{name}_id")
        assert len(file.ids) == 0 and file.dimension == describe_model(settings).dimension
        assert file.places_of(pa.array(["x", None])).tolist() == [-1, -1]


def test_items_reviews_and_blocks_share_each_text(
    write_run: WriteRun, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "ROWS_A_BLOCK", 2)
    items = [{"item_id": name, "title": title} for name, title in (("a", "Heat."), ("b", "?"), ("c", "Heat."))]
    events = [{"event_id": "e1", "event_text": "Heat."}, {"event_id": "e2"}, {"event_id": "e3", "event_text": "dull"}]
    counts = embed_run(*write_run(items, events), tmp_path / "vectors", settings)
    assert (counts["asked"], counts["empty"], counts["embedded"]) == (6, 2, 2)
    item_file = VectorFile(tmp_path / "vectors" / "item_vectors.parquet", "item_id")
    event_file = VectorFile(tmp_path / "vectors" / "event_vectors.parquet", "event_id")
    assert item_file.ids.to_pylist() == ["a", "c"] and event_file.ids.to_pylist() == ["e1", "e3"]
    heat = item_file.take(np.array([0, 1]))
    assert np.array_equal(heat[0], heat[1])
    assert np.allclose(np.linalg.norm(heat, axis=1), 1, atol=1e-6)
    assert np.array_equal(event_file.take(event_file.row_at[event_file.places_of(pa.array(["e1"]))])[0], heat[0])


def test_the_counts_say_what_a_run_saved(write_run: WriteRun, tmp_path: Path, settings: Settings) -> None:
    texts = ["A quiet film", "Seven samurai", None, "  ", "a  QUIET remark", "a QUIET remark"]
    first = embed_run(*write_run(events=texts), tmp_path / "one", settings)
    assert {name: first[name] for name in ("asked", "empty", "unique", "known", "embedded", "failed", "truncated")} == {
        "asked": 6, "empty": 2, "unique": 3, "known": 0, "embedded": 3, "failed": 0, "truncated": 0,
    }  # fmt: skip
    assert first["tokens"] > 10 and first["seconds"] > 0 and first["tokens_per_second"] > 0 and first["backend"]
    second = embed_run(*write_run(events=[*texts[::-1], "new words"]), tmp_path / "two", settings)
    assert (second["unique"], second["known"], second["embedded"]) == (4, 3, 1)
    one, two = (VectorFile(tmp_path / name / "event_vectors.parquet", "event_id") for name in ("one", "two"))
    rows = np.arange(4)
    assert np.array_equal(one.take(rows), two.take(rows)[::-1])


def test_an_hour_takes_its_items_from_its_base_and_looks_none_up(
    write_run: WriteRun, tmp_path: Path, settings: Settings
) -> None:
    items, night, hour = ["Heat.", None, "Alien."], tmp_path / "night", tmp_path / "hour"
    embed_run(*write_run(items, ["quiet"]), night, settings)
    (night / TEXT).mkdir()
    (night / ITEMS_FILE).rename(night / TEXT / ITEMS_FILE)  # as joining leaves it
    shutil.rmtree(settings.root / "vectors")  # now no ledger knows them
    run = write_run(items, ["Heat.", "loud"], "hour")

    plan = plan_texts(*run, hour, settings, base=night)
    for shard in plan.shards:
        encode_shard(hour, shard.name, settings)
    counts = [collect_vectors(hour, settings) for _ in range(2)]

    assert counts[0] == counts[1]
    assert {name: counts[0][name] for name in ("asked", "unique", "known", "embedded", "items", "item_vectors")} == {
        "asked": 5, "unique": 3, "known": 1, "embedded": 2, "items": 3, "item_vectors": 2,
    }  # fmt: skip
    assert (hour / ITEMS_FILE).samefile(night / TEXT / ITEMS_FILE)
    prompted = load_settings(home=settings.root, item_prompt="film: ")
    assert plan_texts(*run, hour, prompted, base=night).counts["known"] == 0


def test_a_prompt_makes_another_vector(write_run: WriteRun, tmp_path: Path, settings: Settings) -> None:
    run = write_run(events=["heat"])
    embed_run(*run, tmp_path / "plain", settings)
    prompted = load_settings(home=settings.root, user_prompt="query: ")
    assert embed_run(*run, tmp_path / "prompted", prompted)["embedded"] == 1
    plain, other = (
        VectorFile(tmp_path / name / "event_vectors.parquet", "event_id").take(np.array([0]))
        for name in ("plain", "prompted")
    )
    assert not np.allclose(plain, other, atol=1e-3)


def test_a_run_of_known_texts_needs_no_model(write_run: WriteRun, tmp_path: Path, settings: Settings) -> None:
    run = write_run(["Heat.", "Alien."], ["dull"])
    embed_run(*run, tmp_path / "vectors", settings)
    code = (
        "import sys; from pathlib import Path; from embeddings.embed import embed_run;"
        "from embeddings.settings import load_settings;"
        "counts = embed_run(*map(Path, sys.argv[2:]), load_settings(home=sys.argv[1]));"
        "assert counts['embedded'] == 0 and counts['event_vectors'] == 1; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, settings.root, *run, tmp_path / "again"], check=True)


def test_planning_and_collecting_need_no_torch(write_run: WriteRun, tmp_path: Path, settings: Settings) -> None:
    run = write_run(["Heat."])
    code = (
        "import sys; from pathlib import Path; from embeddings.plan import plan_texts;"
        "import embeddings.collect; from embeddings.settings import load_settings;"
        "plan = plan_texts(*map(Path, sys.argv[2:]), load_settings(home=sys.argv[1]));"
        "assert len(plan.shards) == 1 and not {'torch', 'openvino', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, settings.root, *run, tmp_path / "vectors"], check=True)


def test_what_is_cut_or_longer_than_the_model_reads_is_counted_once_and_only_when_embedded(
    write_run: WriteRun, tmp_path: Path, settings: Settings
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
    files = write_run([{"item_id": "i", "title": "None", "description": "y" * 50_000}], events)
    counts = embed_run(*files, tmp_path / "vectors", settings)
    assert (counts["embedded"], counts["empty"], counts["truncated"]) == (5, 2, 4)
    again = embed_run(*files, tmp_path / "again", settings)
    assert (again["embedded"], again["known"], again["truncated"]) == (0, 5, 0)

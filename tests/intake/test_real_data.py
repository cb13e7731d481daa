"""Every row of the real data sets is accounted for, and the known dirt keeps its numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.intake import lake_files, list_batches, take_in

PINNED = {
    "ml_latest_small": {
        "ratings.csv": {"rows_read": 100_836, "accepted": 100_836, "events": 100_836, "items": 0},
        "tags.csv": {"rows_read": 3_683, "accepted": 3_683, "events": 3_683, "items": 0},
        "movies.csv": {"rows_read": 9_742, "accepted": 9_742, "events": 0, "items": 9_742},
    },
    "amazon_cn": {
        "ratings.csv": {"rows_read": 44_852, "accepted": 44_852, "events": 44_852, "items": 0},
        "products.csv": {"rows_read": 96, "accepted": 96, "events": 0, "items": 96},
    },
    "amazon2023_slice": {
        "training.jsonl": {"rows_read": 598, "accepted": 598, "events": 2_990},
        "validation.jsonl": {"rows_read": 70, "accepted": 70, "events": 350},
        "test.jsonl": {"rows_read": 23, "accepted": 23, "events": 115},
    },
    "online_retail": {
        "online_retail.parquet": {
            "rows_read": 541_909,
            "accepted": 404_792,
            "quarantined": 131_589,
            "ignored": 5_528,
            "events": 404_792,
            "items": 4_027,
            "reasons": {"user_id_missing": 131_585, "value_out_of_range": 4},
            "ignored_by": {"not_a_product": 3_032, "stock_adjustment": 1_336, "price_out_of_range": 1_160},
        }
    },
}


@pytest.mark.parametrize("source", PINNED)
def test_rows_of_a_real_data_set_add_up_and_are_taken_in_once(
    source: str, datasets: Path, settings_for: Callable[..., Settings]
) -> None:
    settings = settings_for(source, datasets / source)
    take_in(settings)
    batches = {batch["file"]: batch for batch in list_batches(settings.root)}
    assert set(batches) == set(PINNED[source])
    for file, expected in PINNED[source].items():
        batch = batches[file]
        assert {name: batch[name] for name in expected} == expected
        assert batch["rows_read"] == batch["accepted"] + batch["quarantined"] + batch["ignored"]

    ids = [batch["batch_id"] for batch in batches.values()]
    events, items = lake_files(settings.root, ids)
    counted = [
        duckdb.execute("select count(*) from read_parquet($1)", [list(map(str, part))]).fetchall()[0][0]
        for part in (events, items)
    ]
    assert counted == [sum(batch[kind] for batch in batches.values()) for kind in ("events", "items")]
    for batch in batches.values():
        assert sum(batch["reasons"].values()) == batch["quarantined"]
        assert sum(batch["ignored_by"].values()) == batch["ignored"]

    before = {file: file.stat().st_mtime_ns for file in (settings.root / "lake").rglob("*")}
    again = take_in(settings)
    assert (again["files"], again["batches"], again["rows_read"]) == (len(batches), 0, 0)
    assert {file: file.stat().st_mtime_ns for file in (settings.root / "lake").rglob("*")} == before

"""Packs of the lake: many small batches become one folder, and nobody who reads them can tell."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.settings import Settings
from tideline.intake import (
    Selection,
    find_rows,
    lake_rows,
    list_batches,
    overview,
    release,
    take_in,
)
from tideline.intake.compaction import FEWEST, GRACE, CompactionError, compact_lake
from tideline.intake.lake import lake

Land = Callable[[str, bytes | str], Path]
HEADER = "user_id,item_id,event_type,event_at,event_text\n"
LANDED = datetime(2020, 2, 1, tzinfo=UTC)
NOW = LANDED + timedelta(days=3)
FILES = FEWEST + 2


@pytest.fixture
def house(settings_for: Callable[..., Settings], land: Land) -> Settings:
    """A home with a batch of two good rows and a bad one for each of its files, and a batch of items."""
    for number in range(FILES):
        good = f"u{number},i1,view,2020-01-{number + 1:02}T10:00,words\nu1,i{number},view,2020-01-02,\n"
        land(f"events/{number:02}.csv", f"{HEADER}{good},i9,view,2020-01-03,\n")
    land("items/items.csv", "item_id,title\ni1,One\ni2,Two\n")
    settings = settings_for()
    take_in(settings, landed_at=LANDED)
    return settings


def rows(settings: Settings, ids: list[str], table: str = "events") -> list[tuple]:
    relation = lake_rows(settings.root, ids, table)
    return duckdb.sql(f"from ({relation}) order by all").fetchall() if relation else []


def folders(settings: Settings) -> set[str]:
    return {path.name for path in lake(settings.root).iterdir()}


def test_packed_batches_read_as_before_one_by_one_and_all_together(house: Settings) -> None:
    before, ids = list_batches(house.root), [batch["batch_id"] for batch in list_batches(house.root)]
    all_of_them = {table: rows(house, ids, table) for table in ("events", "items")}
    one_by_one = [rows(house, [batch_id]) for batch_id in ids]

    first = compact_lake(house, NOW, ())
    later = compact_lake(house, NOW + GRACE, ())

    assert first == {"removed_folders": 0, "packs": 1, "packed_batches": FILES + 1, "folders": 1}
    assert later == {"removed_folders": FILES + 1, "packs": 0, "packed_batches": 0, "folders": 1}
    assert len(folders(house)) == 1
    assert list_batches(house.root) == before
    assert {table: rows(house, ids, table) for table in ("events", "items")} == all_of_them
    assert [rows(house, [batch_id]) for batch_id in ids] == one_by_one

    @given(st.sets(st.sampled_from(range(len(ids)))))
    def check(chosen: set[int]) -> None:
        expected = sorted((row for number in chosen for row in one_by_one[number]), key=repr)
        assert sorted(rows(house, [ids[number] for number in chosen]), key=repr) == expected

    check()

    # What has landed once is known, what is held can be released, and what was released counts.
    assert take_in(house)["batches"] == 0
    chosen = Selection(batch=next(batch["batch_id"] for batch in before if batch["reasons"]))
    assert release(house, chosen, {"user_id": "u7"}, landed_at=LANDED)["released"] == 1
    assert find_rows(house, chosen, 9)[0]["state"] == "released"
    counted = overview(house)
    compact_lake(house, NOW + GRACE, ())
    assert overview(house) == counted and sum(row["released"] for row in counted) == 1


def test_folders_stay_while_a_run_that_pinned_them_is_in_progress(house: Settings, tmp_path: Path) -> None:
    compact_lake(house, NOW, ())
    assert compact_lake(house, NOW + timedelta(days=1), [NOW - GRACE])["removed_folders"] == 0
    assert compact_lake(house, NOW + timedelta(days=1), [NOW + GRACE])["removed_folders"] == FILES + 1


def test_new_batches_wait_and_then_join_the_pack(house: Settings, land: Land) -> None:
    assert compact_lake(house, LANDED + timedelta(days=1), ())["packs"] == 0
    compact_lake(house, NOW, ())
    compact_lake(house, NOW + GRACE, ())
    for number in range(FEWEST):
        land(f"events/new{number}.csv", HEADER + f"u1,i1,view,2020-02-01T0{number}:00,\n")
    take_in(house, landed_at=NOW)
    ids = [batch["batch_id"] for batch in list_batches(house.root)]
    before = rows(house, ids)
    assert compact_lake(house, NOW + timedelta(days=3), ())["packed_batches"] == FILES + 1 + FEWEST
    assert compact_lake(house, NOW + timedelta(days=4), ())["removed_folders"] == FEWEST + 1
    assert len(folders(house)) == 1
    assert [batch["batch_id"] for batch in list_batches(house.root)] == ids and rows(house, ids) == before


def test_killed_between_its_steps_a_compaction_goes_on(house: Settings) -> None:
    ids = [batch["batch_id"] for batch in list_batches(house.root)]
    before = rows(house, ids)
    compact_lake(house, NOW, ())
    # Killed while it removed folders: one was on its way out, one is half gone.
    first, second = (lake(house.root) / batch_id for batch_id in ids[:2])
    first.rename(first.with_name(f".gone-{first.name}"))
    (second / "batch.json").unlink()
    assert rows(house, ids) == before and len(list_batches(house.root)) == len(ids)
    compact_lake(house, NOW + GRACE, ())
    compact_lake(house, NOW + 2 * GRACE, ())
    assert folders(house) - {second.name} == {path.name for path in lake(house.root).glob("pack-*")}
    assert rows(house, ids) == before


def test_a_damaged_batch_is_not_packed(house: Settings) -> None:
    one, two = [batch["batch_id"] for batch in list_batches(house.root) if batch["events"]][:2]
    shutil.copyfile(lake(house.root) / one / "events.parquet", lake(house.root) / two / "events.parquet")
    with pytest.raises(CompactionError, match="changed on the disk"):
        compact_lake(house, NOW, ())
    assert not list(lake(house.root).glob("pack-*"))

"""Maintenance over the store: it sees what workers have left there, changes nothing that is wanted, finds damage."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest

from end_to_end.shop import AS_OF, write_shop
from tideline.hosts.objects import Objects
from tideline.hosts.trees import Cache, DamagedBlobError, gather
from tideline.hosts.upkeep import collect_garbage
from tideline.maintenance import tasks
from tideline.walk import walk
from tideline.window import parse_instant, window_ending


def test_only_content_that_no_ref_lists_is_deleted_and_only_after_a_while(reached: Objects, tmp_path: Path) -> None:
    for name in ("wanted", "unwanted"):
        (tmp_path / f"{name}.json").write_text(name)
    entries = gather(sorted(tmp_path.glob("*.json")), tmp_path, {}, Cache(tmp_path / "cache", reached))
    reached.set_ref("runs/r/open_run", {"files": {"wanted.json": list(entries["wanted.json"])}})
    assert collect_garbage(reached) == 0, "a stage at work uploads first, and writes its ref when it ends"
    assert collect_garbage(reached, older_than=-60) == 1
    assert reached.age(entries["wanted.json"].key) is not None
    assert reached.age(entries["unwanted.json"].key) is None


def test_what_a_worker_keeps_is_uploaded_again_where_the_store_has_lost_it(reached: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("a")
    cache = Cache(tmp_path / "cache", reached)
    (entry,) = gather([tmp_path / "a.json"], tmp_path, {}, cache).values()
    assert collect_garbage(reached, older_than=-60) == 1
    assert gather([tmp_path / "a.json"], tmp_path, {}, cache) == {"a.json": entry}
    assert reached.age(entry.key) is not None


@pytest.mark.slow
def test_tasks_keep_the_lake_and_the_scrub_names_what_is_damaged_in_the_store(
    reached: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shop(tmp_path / "landing", AS_OF)
    monkeypatch.setenv("TIDELINE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "one"))
    walk(window_ending("nightly", parse_instant("2024-03-01")), "a test", last="take_in")
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path / "other"))
    before = [(found.name, reached.read_ref(found.name).values) for found in reached.list_refs("")]
    assert tasks.scrub()["batch"] == 4, "a file of each of two batches, and their records"
    for task in tasks.IN_ORDER:
        task()
    after = {found.name: reached.read_ref(found.name).values for found in reached.list_refs("")}
    assert all(after[name] == values for name, values in before)
    batch = next(values for name, values in before if name.startswith("lake/"))
    (key,) = [entry[0] for path, entry in batch["files"].items() if path.endswith(".parquet")]
    obstore.put(reached._store, key, b"turned over")
    with pytest.raises(DamagedBlobError, match=key):
        tasks.scrub()

"""The object store by itself: content under its hash, refs that only whoever has read them replaces."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError

from tideline.cluster.layout import Cluster
from tideline.cluster.programs import store_environment
from tideline.hosts.objects import ConflictError, Objects
from tideline.hosts.trees import Cache, DamagedBlobError, entries_of, gather, lay_out


def test_a_ref_is_replaced_only_by_whoever_has_read_the_present_one(reached: Objects) -> None:
    reached.write_ref("one", {"n": 1}, None)
    first = reached.read_ref("one")
    with pytest.raises(ConflictError):
        reached.write_ref("one", {"n": 2}, None)
    reached.write_ref("one", {"n": 2}, first)
    with pytest.raises(ConflictError):
        reached.write_ref("one", {"n": 3}, first)
    assert reached.read_ref("one").values == {"n": 2}


def test_a_write_whose_answer_got_lost_is_no_conflict_with_itself(reached: Objects) -> None:
    before = None
    for values in ({"n": 1}, {"n": 2}):
        reached.write_ref("one", values, before)
        reached.write_ref("one", values, before)
        before = reached.read_ref("one")


def test_what_one_worker_leaves_another_lays_out_and_only_changes_are_uploaded(
    reached: Objects, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "runs").mkdir(parents=True)
    (here / "runs" / "table.parquet").write_bytes(b"x" * 100_000)
    (here / "runs" / "log.jsonl").write_text("one\n")
    (here / "runs" / "link").symlink_to("log.jsonl")
    entries = gather((here / "runs").iterdir(), here, {}, Cache(tmp_path / "cache a", reached))
    cache = Cache(tmp_path / "cache b", reached)
    laid = lay_out(entries, there, cache)
    assert (there / "runs" / "table.parquet").read_bytes() == b"x" * 100_000
    assert (there / "runs" / "link").read_text() == "one\n"
    assert (there / "runs" / "log.jsonl").stat().st_mtime_ns == (here / "runs" / "log.jsonl").stat().st_mtime_ns
    with (there / "runs" / "log.jsonl").open("a") as stream:
        stream.write("two\n")
    (there / "runs" / "link").unlink()
    again = gather(sorted((there / "runs").iterdir()), there, laid, cache)
    assert sorted(again) == ["runs/log.jsonl", "runs/table.parquet"]
    assert again["runs/table.parquet"] == entries["runs/table.parquet"]
    assert again["runs/log.jsonl"] != entries["runs/log.jsonl"]
    third = tmp_path / "third"
    lay_out(entries, third, cache)
    assert (third / "runs" / "log.jsonl").read_text() == "one\n", "what is written in place must be a copy"


def test_equal_files_are_fetched_at_a_time_and_each_is_there(reached: Objects, tmp_path: Path) -> None:
    (tmp_path / "one.npy").write_bytes(b"same" * 1000)
    (entry,) = gather([tmp_path / "one.npy"], tmp_path, {}, Cache(tmp_path / "cache", reached)).values()
    for attempt in range(10):
        root = tmp_path / f"root {attempt}"
        entries = {f"copy-{number}.npy": entry for number in range(64)}
        lay_out(entries, root, Cache(tmp_path / f"cache {attempt}", reached))
        assert len(list(root.iterdir())) == 64


def test_content_that_is_not_what_its_name_says_is_refused(reached: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"right")
    entries = gather([tmp_path / "a.parquet"], tmp_path, {}, Cache(tmp_path / "cache a", reached))
    obstore.put(reached._store, entries["a.parquet"].key, b"wrong")
    with pytest.raises(DamagedBlobError, match="damaged in the store"):
        lay_out(entries, tmp_path / "there", Cache(tmp_path / "cache b", reached))
    assert not (tmp_path / "there" / "a.parquet").exists()


def test_entries_survive_a_ref(reached: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    entries = gather([tmp_path / "a.json"], tmp_path, {}, Cache(tmp_path / "cache", reached))
    reached.set_ref("runs/x/open_run", {"files": {path: list(entry) for path, entry in entries.items()}})
    assert entries_of(reached.read_ref("runs/x/open_run").values["files"]) == entries
    assert [found.name for found in reached.list_refs("runs/x")] == ["runs/x/open_run"]
    reached.delete_refs(["runs/x/open_run"])
    assert reached.read_ref("runs/x/open_run") is None


def test_a_worker_of_runs_writes_no_shared_ref_and_a_reader_writes_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = {}
    for identity in ("warehouse", "runs", "reader"):
        given = store_environment(cluster, identity)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        objects = Objects(f"{given['TIDELINE_STORE']}/canonical", given["TIDELINE_STORE_ENDPOINT"])
        allowed[identity] = []
        for key in ("refs/serving.json", "refs/runs/r/open_run.json", "blobs/aa/bb"):
            try:
                obstore.put(objects._store, key, b"{}")
                allowed[identity].append(key)
            except PermissionDeniedError:
                pass
        objects.read_ref("serving")
        if identity != "reader":
            objects.delete_refs(["runs/r/open_run", "runs/r/gone"])
            assert objects.read_ref("runs/r/open_run") is None
    everything = ["refs/serving.json", "refs/runs/r/open_run.json", "blobs/aa/bb"]
    assert allowed == {"warehouse": everything, "runs": everything[1:], "reader": []}

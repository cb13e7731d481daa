"""A generation's tables, linked: the rows that it was tagged with, and originals that no write can reach."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from embeddings.settings import Settings
from embeddings.store import forget_generations, merge_run, read_table
from embeddings.table_files import ITEM_VECTORS, USER_VECTORS, StoreError, link_generation, model_folder
from embeddings.vector_files import to_column

MODEL = "tiny@0/2"


def merge(settings: Settings, generation: str, number: int, ids: set[str], everyone: bool) -> None:
    """Merge vectors that tell which merge they came from."""
    files = {}
    for name, column in ((USER_VECTORS, "user_id"), (ITEM_VECTORS, "item_id")):
        columns = {
            column: pa.array(sorted(ids)),
            "vector": to_column(np.full((len(ids), 2), number)),
            "as_of": pa.array([datetime(2026, 3, 1) + timedelta(hours=number)] * len(ids), pa.timestamp("us")),
        }
        files[name] = settings.root / f"{name}.parquet"
        files[name].parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), files[name])
    merge_run(settings, MODEL, **files, generation=generation, everyone=everyone)


def rows(table: pa.Table) -> list[dict]:
    return sorted(table.to_pylist(), key=lambda row: next(iter(row.values())))


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcdef"), min_size=1), st.booleans()), min_size=1, max_size=5))
@effort(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_generation_is_linked_as_the_store_reads_it(tmp_path_factory: pytest.TempPathFactory, merges) -> None:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    for number, (ids, everyone) in enumerate(merges):
        merge(settings, f"g{number}", number, ids, everyone)
    for number in range(len(merges)):
        target = settings.root / f"copy{number}"
        link_generation(settings, MODEL, f"g{number}", target)
        for name in (USER_VECTORS, ITEM_VECTORS):
            linked = lancedb.connect(target).open_table(name)
            assert rows(linked.to_arrow()) == rows(read_table(settings, MODEL, name, f"g{number}"))
            assert len(linked.list_versions()) == 1


def digests(folder: Path) -> dict[Path, tuple[str, int, int]]:
    return {
        file: (sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns, file.stat().st_mode)
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_data_is_linked_without_that_of_other_versions_and_writes_stay_in_the_copy(settings, tmp_path) -> None:
    merge(settings, "first", 1, {"a", "b", "c"}, everyone=True)
    merge(settings, "later", 2, {"a", "d"}, everyone=False)
    originals = digests(model_folder(settings, MODEL))
    link_generation(settings, MODEL, "first", tmp_path / "copy")
    for name in (USER_VECTORS, ITEM_VECTORS):
        data = list((tmp_path / "copy" / f"{name}.lance" / "data").iterdir())
        assert [file.stat().st_nlink for file in data] == [2]
        table = lancedb.connect(tmp_path / "copy").open_table(name)
        table.add(table.to_arrow())
        table.update(values={"vector": [9.0, 9.0]})
        table.delete("true")
        table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
        lancedb.connect(tmp_path / "copy").drop_table(name)
    assert digests(model_folder(settings, MODEL)) == originals


def test_another_file_system_gets_copies(settings, tmp_path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here to try it with")
    merge(settings, "first", 1, {"a"}, everyone=True)
    target = memory / tmp_path.name
    try:
        link_generation(settings, MODEL, "first", target)
        assert rows(lancedb.connect(target).open_table(USER_VECTORS).to_arrow())[0]["user_id"] == "a"
    finally:
        for file in sorted(target.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        target.rmdir()


def test_a_generation_without_a_tag_is_told(settings, tmp_path) -> None:
    with pytest.raises(StoreError, match="no longer kept"):
        link_generation(settings, MODEL, "first", tmp_path / "none")
    merge(settings, "first", 1, {"a"}, everyone=True)
    merge(settings, "later", 2, {"a"}, everyone=True)
    forget_generations(settings, MODEL, {"later"})
    with pytest.raises(StoreError, match="user_vectors has no version of generation first"):
        link_generation(settings, MODEL, "first", tmp_path / "gone")

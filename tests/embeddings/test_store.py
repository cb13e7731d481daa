"""What is published in LanceDB: merged by id, tagged by generation."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings import store, upkeep
from embeddings.identity import vectors_id
from embeddings.ledger import find_text_vectors
from embeddings.model import Model, describe_model
from embeddings.settings import Settings
from embeddings.store import ITEM_VECTORS, USER_VECTORS, StoreError, forget_generations, merge_run, read_table
from embeddings.vector_files import KEY_BYTES, text_vector_schema, to_column, vector_schema

DAY = datetime(2026, 3, 1)


class Shop:
    """Writes a run's vectors of made-up values and merges them."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        self.model, self.dimension = describe_model(settings)[:2]

    def files(self, users: dict[str, float | None], items: dict[str, float], as_of: datetime) -> dict[str, Path]:
        has = np.array([value is not None for value in users.values()], dtype=bool)
        column = to_column(np.outer([value or 0 for value in users.values()], np.ones(self.dimension)), has)
        table = pa.table(
            {
                "user_id": pa.array(users, pa.string()),
                "long": column,
                "as_of": pa.array([as_of] * len(users), pa.timestamp("us")),
                "model": pa.array([self.model] * len(users), pa.string()),
            }
        )
        schema = vector_schema("item_id", self.dimension, self.model, model_column=True)
        rows = to_column(np.outer(list(items.values()), np.ones(self.dimension)))
        paths = {name: self.folder / f"{name}.parquet" for name in (USER_VECTORS, ITEM_VECTORS)}
        pq.write_table(table, paths[USER_VECTORS])
        pq.write_table(pa.table([list(items), rows, [self.model] * len(items)], schema=schema), paths[ITEM_VECTORS])
        return paths

    def merge(
        self,
        generation: str,
        users: dict[str, float | None],
        items: dict[str, float],
        as_of: datetime = DAY,
        everyone: bool = True,
        carried: bool = False,
    ) -> dict[str, int | str]:
        files = self.files(users, items, as_of)
        return merge_run(self.settings, self.model, **files, generation=generation, everyone=everyone, carried=carried)

    def rows(self, name: str, generation: str | None = None) -> dict[str, float | None]:
        table = read_table(self.settings, self.model, name, generation).to_pylist()
        vector = "long" if name == USER_VECTORS else "vector"
        id_column = "user_id" if name == USER_VECTORS else "item_id"
        assert len({row[id_column] for row in table}) == len(table)
        return {row[id_column]: row[vector][0] if row[vector] is not None else None for row in table}


@pytest.fixture
def shop(tmp_path: Path, settings: Settings) -> Shop:
    return Shop(tmp_path, settings)


def test_a_merge_replaces_and_inserts_and_a_generation_still_sees_its_own_rows(shop: Shop) -> None:
    shop.merge("20260301T000000Z-nightly-aaaaaaaa", {"ann": 1, "bob": 2, "cid": None}, {"heat": 1, "alien": 2})
    shop.merge("hour", {"ann": 5, "dan": None}, {"heat": 3}, DAY + timedelta(hours=1), everyone=False)
    assert shop.rows(USER_VECTORS) == {"ann": 5, "bob": 2, "cid": None, "dan": None}
    assert shop.rows(ITEM_VECTORS) == {"heat": 3, "alien": 2}
    assert shop.rows(USER_VECTORS, "20260301T000000Z-nightly-aaaaaaaa") == {"ann": 1, "bob": 2, "cid": None}
    assert shop.rows(ITEM_VECTORS, "20260301T000000Z-nightly-aaaaaaaa") == {"heat": 1, "alien": 2}


def test_a_rerun_changes_nothing(shop: Shop) -> None:
    users, items = {"ann": 1.0, "bob": None}, {"heat": 1.0}
    first = shop.merge("night", users, items)
    again = shop.merge("night", users, items)
    assert first["item_vectors_version"] == again["item_vectors_version"]
    assert shop.rows(USER_VECTORS) == shop.rows(USER_VECTORS, "night") == users
    assert shop.rows(ITEM_VECTORS, "night") == items


def test_a_late_nightly_keeps_the_hours_after_it(shop: Shop) -> None:
    shop.merge("night", {"ann": 1, "bob": 1, "gone": 1}, {"heat": 1})
    shop.merge("hour", {"ann": 5, "new": 5}, {"heat": 1}, DAY + timedelta(hours=3), everyone=False)
    shop.merge("night2", {"ann": 2, "bob": 2}, {"heat": 1}, DAY + timedelta(hours=2))
    assert shop.rows(USER_VECTORS) == {"ann": 5, "new": 5, "bob": 2}


def test_an_hour_does_not_bring_back_the_items_of_a_base_before_the_last_night(shop: Shop) -> None:
    shop.merge("hour", {"ann": 1}, {"heat": 1, "gone": 1}, everyone=False, carried=True)
    assert shop.rows(ITEM_VECTORS) == {"heat": 1, "gone": 1}
    shop.merge("night", {"ann": 2}, {"heat": 2})
    shop.merge("hour2", {"ann": 3}, {"heat": 1, "gone": 1}, DAY + timedelta(hours=1), everyone=False, carried=True)
    assert shop.rows(ITEM_VECTORS) == shop.rows(ITEM_VECTORS, "hour2") == {"heat": 2}


def test_items_that_a_full_run_no_longer_has_go(shop: Shop) -> None:
    shop.merge("night", {"ann": 1}, {"heat": 1, "alien": 1})
    shop.merge("hour", {"ann": 1}, {"heat": 1}, everyone=False)
    assert shop.rows(ITEM_VECTORS) == {"heat": 1, "alien": 1}
    shop.merge("night2", {"ann": 1}, {"heat": 1})
    assert shop.rows(ITEM_VECTORS) == {"heat": 1}


def test_the_tag_follows_a_repair(shop: Shop) -> None:
    shop.merge("night", {"ann": 1}, {"heat": 1})
    shop.merge("night", {"ann": 2}, {"heat": 2})
    assert shop.rows(USER_VECTORS, "night") == {"ann": 2}
    assert shop.rows(ITEM_VECTORS, "night") == {"heat": 2}


def test_forgotten_generations_go_and_kept_ones_stay_readable(shop: Shop) -> None:
    for number in range(4):
        shop.merge(f"night{number}", {"ann": number}, {"heat": number}, DAY + timedelta(days=number))
    assert forget_generations(shop.settings, shop.model, {"night2", "night3"}) == 2
    assert shop.rows(USER_VECTORS, "night2") == {"ann": 2}
    assert shop.rows(USER_VECTORS, "night3") == {"ann": 3}
    with pytest.raises(StoreError, match="no version of generation night0"):
        shop.rows(USER_VECTORS, "night0")
    shop.merge("night4", {"ann": 4}, {"heat": 4}, DAY + timedelta(days=4))
    assert shop.rows(USER_VECTORS, "night4") == {"ann": 4}


def test_a_space_that_no_kept_generation_needs_goes_and_the_ledger_stays(shop: Shop) -> None:
    text = describe_model(shop.settings)
    append(shop.settings, text, [b"k" * KEY_BYTES], 1)
    shop.merge("night0", {"ann": 0}, {"heat": 0})
    for number, version in enumerate(("trained-one", "trained-two"), start=1):
        shop.model = vectors_id(shop.settings, version)
        shop.merge(f"night{number}", {"ann": number}, {"heat": number}, DAY + timedelta(days=number))
    for model in (vectors_id(shop.settings, version) for version in (None, "trained-one", "trained-two")):
        forget_generations(shop.settings, model, {"night2"})
    assert shop.rows(USER_VECTORS, "night2") == {"ann": 2}
    assert [folder.name for folder in (shop.settings.root / "vectors").iterdir() if "trained" in folder.name] == [
        store.model_folder(shop.settings, shop.model).name
    ]
    for name in (USER_VECTORS, ITEM_VECTORS):
        assert store.open_table(shop.settings, text.model_id, name) is None
    assert find_text_vectors(shop.settings, text, pa.array([b"k" * KEY_BYTES], pa.binary(KEY_BYTES)))[0].all()
    # Going back to a version whose tables are gone makes them again.
    shop.model = vectors_id(shop.settings, "trained-one")
    shop.merge("night3", {"ann": 3}, {"heat": 3}, DAY + timedelta(days=3))
    assert shop.rows(USER_VECTORS) == shop.rows(USER_VECTORS, "night3") == {"ann": 3}


def test_old_versions_go_up_to_the_oldest_tag(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "GRACE", timedelta(milliseconds=1))
    monkeypatch.setattr(upkeep, "MARGIN", timedelta(milliseconds=5))
    for number in range(6):
        shop.merge(f"night{number}", {"ann": number}, {"heat": number}, DAY + timedelta(days=number))
    folder = store.model_folder(shop.settings, shop.model) / "user_vectors.lance" / "data"
    before = len(list(folder.iterdir()))
    forget_generations(shop.settings, shop.model, {"night4", "night5"})
    assert len(list(folder.iterdir())) <= before - 4
    assert shop.rows(USER_VECTORS, "night4") == {"ann": 4}
    assert shop.rows(ITEM_VECTORS, "night4") == {"heat": 4}


def append(settings: Settings, model: Model, keys: list[bytes], value: float) -> None:
    """Append to the ledger as a writer does that found none of the keys there."""
    schema = text_vector_schema(model.dimension)
    vectors = to_column(np.full((len(keys), model.dimension), value, np.float32))
    table = store.open_or_create(settings, model.model_id, store.TEXT_VECTORS, schema)
    table.add(pa.table([pa.array(keys, pa.binary(KEY_BYTES)), vectors], schema=schema))


def test_compacting_the_ledger_keeps_the_first_row_of_a_key(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_SMALL_FRAGMENTS", 3)
    model = describe_model(shop.settings)
    keys = [bytes([number] * KEY_BYTES) for number in range(9)]
    for value in range(5):
        append(shop.settings, model, keys, value)
    shop.merge("night", {"ann": 1}, {"heat": 1})
    folder = store.model_folder(shop.settings, shop.model) / "text_vectors.lance" / "_versions"
    assert len(list(folder.glob("*.manifest"))) > 6  # compacted: a version that nobody appended
    append(shop.settings, model, keys, 9)
    known, vectors = find_text_vectors(shop.settings, model, pa.array(keys, pa.binary(KEY_BYTES)))
    assert known.all() and not vectors.any()


def test_compacting_leaves_the_version_that_somebody_has_open(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "GRACE", timedelta(milliseconds=1))
    monkeypatch.setattr(upkeep, "MARGIN", timedelta(milliseconds=5))
    model = describe_model(shop.settings)
    for number in range(5):
        append(shop.settings, model, [bytes([number] * KEY_BYTES)], number)
    database = lancedb.connect(store.model_folder(shop.settings, model.model_id))
    reader, keeper = (database.open_table(store.TEXT_VECTORS) for _ in range(2))
    time.sleep(0.05)  # longer than the grace: the version is old, and yet just opened
    upkeep.compact(keeper)
    assert keeper.stats()["fragment_stats"]["num_fragments"] == 1
    assert reader.version in {version["version"] for version in keeper.list_versions()}
    assert reader.to_arrow()["vector"].combine_chunks().flatten()[:: model.dimension].to_pylist() == [0, 1, 2, 3, 4]


def test_a_run_without_users_or_items_merges(shop: Shop) -> None:
    shop.merge("night", {}, {})
    shop.merge("night2", {"ann": 1}, {"heat": 1})
    shop.merge("hour", {}, {}, everyone=False)
    assert shop.rows(USER_VECTORS, "hour") == {"ann": 1}
    assert shop.rows(USER_VECTORS, "night") == {}


def test_what_lance_would_take_without_a_word_is_refused(shop: Shop) -> None:
    with pytest.raises(ValueError, match=r"user_vectors.parquet has a vector with a value that is not finite"):
        shop.merge("night", {"ann": float("nan")}, {"heat": 1})
    with pytest.raises(ValueError, match="cannot be a tag"):
        shop.merge("../night", {"ann": 1}, {"heat": 1})
    files = shop.files({"ann": 1}, {"heat": 1}, DAY)
    twice = pa.concat_tables([pq.read_table(files[USER_VECTORS])] * 2)
    pq.write_table(twice, files[USER_VECTORS])
    with pytest.raises(ValueError, match="has an id twice"):
        merge_run(shop.settings, shop.model, **files, generation="night")


def test_two_models_never_share_a_table(shop: Shop) -> None:
    shop.merge("night", {"ann": 1}, {"heat": 1})
    with pytest.raises(StoreError, match="no table user_vectors of model other@1/384"):
        read_table(shop.settings, "other@1/384", USER_VECTORS)


def test_upkeep_of_all_tables_brings_indexes_up_to_date_and_leaves_damage_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.merge("night", {"ann": 1}, {"heat": 1})
    folder = shop.settings.root / "vectors" / "other-model"
    vectors = np.random.default_rng(0).standard_normal((300, 8), dtype=np.float32)
    store.index_items(folder, vectors)
    rows = pa.table([pa.array(range(300, 320)), to_column(vectors[:20])], ["item", "vector"])
    lancedb.connect(folder).open_table("items").add(rows)

    assert store.compact_models(shop.settings) == {"tables": 3, "compacted": 1}

    index = lancedb.connect(folder).open_table("items")
    assert index.index_stats(index.list_indices()[0].name).num_unindexed_rows == 0
    assert store.compact_models(shop.settings) == {"tables": 3, "compacted": 0}
    assert shop.rows(USER_VECTORS, "night") == {"ann": 1}

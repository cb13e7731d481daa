"""Window vectors against a plain loop, on tables as dbt exports them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from embeddings import behaviour, windows
from embeddings.model import describe_model
from embeddings.settings import Settings, load_settings
from embeddings.vector_files import to_column, vector_schema, writing
from embeddings.windows import interest_vectors
from tideline import contracts

ITEMS, USERS = 6, 5
few_examples = hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
event = st.tuples(
    st.integers(0, USERS - 1),  # user
    st.one_of(st.none(), st.integers(0, ITEMS + 1)),  # item; the last two have no vector; none: a search
    st.booleans(),  # a text of its own
    st.decimals(0, 5, places=9),
)
Event = tuple[int, int | None, bool, Decimal]


def vector(name: str, dimension: int) -> np.ndarray:
    """A unit vector that depends on the name alone."""
    made = np.random.default_rng(list(name.encode())).standard_normal(dimension)
    return (made / np.linalg.norm(made)).astype(np.float32)


def write_run(folder: Path, settings: Settings, long: list[Event], short: list[Event], seed: int = 0) -> None:
    """Write the tables and vectors of a run; `seed` shuffles the rows of every file."""
    model = describe_model(settings)
    shuffle = np.random.default_rng(seed).permutation
    tables, vectors = folder / "tables", folder / "vectors"
    tables.mkdir(parents=True)
    users = pa.table({"user_id": [f"u{user}" for user in shuffle(USERS)]})
    pq.write_table(users, tables / "dim_users.parquet")
    texts: list[str] = []
    for name, events in (("long", long), ("short", short)):
        ids = [f"{name}-{row}" for row in range(len(events))]
        texts += [event_id for event_id, event in zip(ids, events, strict=True) if event[2]]
        table = pa.table(
            {
                "user_id": pa.array([f"u{event[0]}" for event in events], pa.string()),
                "item_id": pa.array([None if event[1] is None else f"i{event[1]}" for event in events], pa.string()),
                "event_id": pa.array(ids, pa.string()),
                "decay_weight": pa.array([event[3] for event in events], pa.decimal128(18, 9)),
            }
        )
        pq.write_table(table.take(shuffle(len(events))), tables / f"{name}_window_behaviour.parquet")
    for file, column, names in (
        ("item_vectors", "item_id", [f"i{item}" for item in shuffle(ITEMS)]),
        ("event_vectors", "event_id", [texts[row] for row in shuffle(len(texts))]),
    ):
        schema = vector_schema(column, model.dimension, model.model_id)
        matrix = np.array([vector(name, model.dimension) for name in names]).reshape(len(names), model.dimension)
        with writing(vectors / f"{file}.parquet", schema) as writer:
            writer.write_table(
                pa.table([pa.array(names, pa.string()), to_column(matrix)], schema=schema), row_group_size=3
            )


def naive_mean(name: str, events: list[Event], user: int, dimension: int) -> np.ndarray | None:
    """The definition, event by event: sum of share_i * e_i."""
    own, weights = [], []
    for row, (owner, item, has_text, weight) in enumerate(events):
        rows = [vector(f"i{item}", dimension)] if item is not None and item < ITEMS else []
        rows += [vector(f"{name}-{row}", dimension)] if has_text else []
        if owner == user and rows:
            own.append(np.mean(np.array(rows, dtype=np.float64), axis=0))
            weights.append(float(weight))
    if sum(weights) <= 0:
        return None
    return np.array(weights) / sum(weights) @ np.array(own)


def rows_of(folder: Path) -> list[dict]:
    return pq.read_table(folder / "vectors" / "user_vectors.parquet").to_pylist()


@few_examples
@given(st.lists(event, max_size=25), st.lists(event, max_size=10), st.integers(1, 6), st.integers(0, 99))
def test_window_vectors_are_the_weighted_means(
    as_of: datetime, long: list[Event], short: list[Event], block: int, seed: int
) -> None:
    with TemporaryDirectory() as name:
        folder, settings = Path(name), load_settings(home=Path(name))
        write_run(folder, settings, long, short, seed)
        counts = interest_vectors(folder / "tables", folder / "vectors", as_of, settings, block)
        found = rows_of(folder)
    assert [row["user_id"] for row in found] == [f"u{user}" for user in range(USERS)]
    assert counts["users"] == USERS
    assert counts["users_long"] == sum(row["long"] is not None for row in found)
    dimension = describe_model(settings).dimension
    for user, row in enumerate(found):
        for window, events in (("long", long), ("short", short)):
            mean = naive_mean(window, events, user, dimension)
            if mean is None:
                assert row[window] is None and row[f"{window}_norm"] is None
            else:
                assert row[f"{window}_norm"] == pytest.approx(np.linalg.norm(mean), abs=1e-6)
                assert np.allclose(np.array(row[window]) * row[f"{window}_norm"], mean, atol=1e-6)
        gate = {(True, True): 0.5, (True, False): 1, (False, True): 0, (False, False): None}
        assert row["gate"] == gate[row["long"] is not None, row["short"] is not None]
        assert (row["fused"] is None) == (row["gate"] is None)


@few_examples
@given(st.lists(event, min_size=1, max_size=25), st.integers(1, 99))
def test_the_order_of_rows_the_blocks_and_the_threads_change_nothing(
    as_of: datetime, events: list[Event], seed: int
) -> None:
    results = []
    for shuffled, block, threads in ((0, 100, 1), (seed, 2, 3)):
        with TemporaryDirectory() as name:
            folder, settings = Path(name), load_settings(home=Path(name), threads=threads)
            write_run(folder, settings, events, events, shuffled)
            interest_vectors(folder / "tables", folder / "vectors", as_of, settings, block)
            results.append(rows_of(folder))
    assert results[0] == results[1]


def test_a_table_in_parts_gives_the_same(
    tmp_path: Path, settings: Settings, as_of: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = [(row % 3, row % ITEMS, row % 4 == 0, Decimal(row)) for row in range(30)]
    write_run(tmp_path, settings, events, events, seed=1)
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    whole = rows_of(tmp_path)
    monkeypatch.setattr(behaviour, "EVENTS_A_PART", 4)  # below what each user has
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    assert rows_of(tmp_path) == whole


def test_events_that_cancel_out_leave_no_vector(tmp_path: Path, settings: Settings, as_of: datetime) -> None:
    third = Decimal("0.333333333")
    write_run(tmp_path, settings, [(0, 0, False, third), (0, 1, False, third)], [(0, 0, False, third)])
    model = describe_model(settings)
    one = vector("one", model.dimension)
    schema = vector_schema("item_id", model.dimension, model.model_id)
    with writing(tmp_path / "vectors" / "item_vectors.parquet", schema) as writer:
        writer.write_table(pa.table([["i0", "i1"], to_column(np.array([one, -one]))], schema=schema))
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    row = rows_of(tmp_path)[0]
    assert row["long"] is None and row["long_norm"] is None and row["gate"] == 0
    assert np.allclose(row["fused"], one, atol=1e-6)


def test_weights_may_be_doubles(tmp_path: Path, settings: Settings, as_of: datetime) -> None:
    write_run(tmp_path, settings, [(0, 0, False, Decimal("0.1")), (0, 1, True, Decimal("2.5"))], [])
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    decimals = rows_of(tmp_path)
    file = tmp_path / "tables" / "long_window_behaviour.parquet"
    table = pq.read_table(file)
    column = table.column_names.index("decay_weight")
    pq.write_table(table.set_column(column, "decay_weight", table["decay_weight"].cast(pa.float64())), file)
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    assert rows_of(tmp_path) == decimals


def test_columns_are_those_of_the_contract(tmp_path: Path, settings: Settings, as_of: datetime) -> None:
    write_run(tmp_path, settings, [(0, 0, False, Decimal(1))], [])
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    table = pq.read_table(tmp_path / "vectors" / "user_vectors.parquet")
    assert table.column_names == [column.name for column in contracts.USER_VECTORS]
    assert table.schema.field("long").type == pa.list_(pa.float32(), describe_model(settings).dimension)
    assert table["as_of"][0].as_py() == as_of.replace(tzinfo=None)
    assert table["model"][0].as_py() == describe_model(settings).model_id


def test_a_block_ends_where_it_would_hold_too_many_texts(
    tmp_path: Path, settings: Settings, as_of: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = [(user, None, True, Decimal(1)) for user in (0, 0, 0, 1, 3, 4)]
    write_run(tmp_path, settings, events, events)
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    whole = rows_of(tmp_path)
    monkeypatch.setattr(windows, "TEXTS_A_BLOCK", 2)  # below what the first user has alone
    interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    assert rows_of(tmp_path) == whole
    assert pq.ParquetFile(tmp_path / "vectors" / "user_vectors.parquet").num_row_groups > 1


@pytest.mark.parametrize("weight", [Decimal(-1), None, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused_by_name(
    tmp_path: Path, settings: Settings, as_of: datetime, weight: Decimal | float | None
) -> None:
    write_run(tmp_path, settings, [], [])
    kind = pa.float64() if isinstance(weight, float) else pa.decimal128(18, 9)
    columns = {"user_id": ["u0"], "item_id": ["i0"], "event_id": ["e0"], "decay_weight": pa.array([weight], kind)}
    pq.write_table(pa.table(columns), tmp_path / "tables" / "long_window_behaviour.parquet")
    with pytest.raises(ValueError, match=r"long_window_behaviour.parquet has a decay_weight"):
        interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    assert not (tmp_path / "vectors" / "user_vectors.parquet").exists()


@pytest.mark.parametrize("name", ["u9", None])
def test_a_user_whom_dim_users_lacks_is_refused_by_file(
    tmp_path: Path, settings: Settings, as_of: datetime, name: str | None
) -> None:
    write_run(tmp_path, settings, [], [])
    weights = pa.array([Decimal(1)] * 2, pa.decimal128(18, 9))
    columns = {"user_id": ["u0", name], "item_id": ["i0"] * 2, "event_id": ["e0", "e1"], "decay_weight": weights}
    pq.write_table(pa.table(columns), tmp_path / "tables" / "short_window_behaviour.parquet")
    with pytest.raises(ValueError, match=r"short_window_behaviour.parquet has a user that dim_users lacks"):
        interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)
    assert not (tmp_path / "vectors" / "user_vectors.parquet").exists()


def test_vectors_of_another_model_are_refused(tmp_path: Path, settings: Settings, as_of: datetime) -> None:
    write_run(tmp_path, settings, [], [])
    other = vector_schema("item_id", describe_model(settings).dimension, "another@1/384")
    with writing(tmp_path / "vectors" / "item_vectors.parquet", other) as writer:
        writer.write_table(other.empty_table())
    with pytest.raises(ValueError, match="another@1"):
        interest_vectors(tmp_path / "tables", tmp_path / "vectors", as_of, settings)

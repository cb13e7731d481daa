"""A small run with the files that ranking reads, made from plain rows; its user vectors are computed in plain loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from embeddings.settings import Settings
from tideline.ranking import rank
from tideline.run import Run
from tideline.window import window_ending

AS_OF = datetime(2020, 6, 1)
WEIGHTS = {"interest": 1.0, "own_history": 0.6, "trend": 0.2, "popularity": 0.3}


@dataclass
class World:
    """What a run starts from. `events`: (event_id, user_id, item_id or None, event_type, days before as_of)."""

    events: Sequence[tuple[str, str, str | None, str, float]]
    items: Sequence[str]
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)
    texts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unavailable: frozenset[str] = frozenset()
    titles: Mapping[str, str] = field(default_factory=dict)
    repeats_allowed: bool = False
    top_k: int = 5
    gate: float = 0.5
    short_days: float = 7.0
    long_days: float = 365.0
    half_life: float | None = 30.0
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))


def write_run(root: Path, world: World) -> Run:
    """Write `tables` and `vectors` of a nightly run below `root`."""
    window = window_ending("nightly", AS_OF.replace(tzinfo=UTC))
    run = Run("nightly-20200601T000000Z-00000000", window, root, "canonical", model_version="blend+test")
    run.tables.mkdir(parents=True)
    run.vectors.mkdir(parents=True)
    with duckdb.connect() as connection:
        rows = [
            (event, user, item, kind, AS_OF - timedelta(days=age), 2.0 if kind == "purchase" else 1.0)
            for event, user, item, kind, age in world.events
        ]
        types = (
            "event_id varchar, user_id varchar, item_id varchar, event_type varchar, event_at timestamp, weight double"
        )
        _fill(connection, "events", types, rows)
        items = [(item, world.titles.get(item), item not in world.unavailable) for item in world.items]
        _fill(connection, "known", "item_id varchar, title varchar, is_available boolean", items)
        _fill(connection, "score_weights", "part varchar, weight decimal(9, 4)", list(world.weights.items()))
        for name, query in _tables(world).items():
            connection.execute(f"copy ({query}) to '{run.tables / name}.parquet' (format parquet)")
        _write_vectors(connection, run, world)
    return run


def _fill(connection: duckdb.DuckDBPyConnection, name: str, types: str, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(f"create table {name} ({types})")
    if rows:
        columns = {f"c{number}": list(column) for number, column in enumerate(zip(*rows, strict=True))}
        connection.register("rows", pa.table(columns))
        connection.execute(f"insert into {name} select * from rows")


def _tables(world: World) -> dict[str, str]:
    as_of = f"timestamp '{AS_OF}'"
    half = "null" if world.half_life is None else world.half_life
    decay = f"coalesce(weight * pow(0.5, epoch({as_of} - event_at) / 86400.0 / {half}), weight)::decimal(18, 9)"
    window = (
        "select user_id, item_id, event_id, event_type, event_at, null::double as event_value, false as has_text,"
        " weight::decimal(18, 6) as weight, weight::decimal(18, 9) as decay_weight from events where "
    )
    age = f"epoch({as_of} - event_at) / 86400.0"
    items = "from events where item_id is not null"
    return {
        "run_settings": f"select {as_of} as as_of, {world.top_k} as top_k, {world.repeats_allowed} as repeats_allowed, "
        f"{half}::double as history_half_life_days, 7::double as trend_days",
        "score_weights": "select * from score_weights",
        "dim_items": "select item_id, title, null::varchar as category, is_available from known order by item_id",
        "dim_users": "select distinct user_id from events order by user_id",
        "long_window_behaviour": f"{window} {age} > {world.short_days} and {age} <= {world.long_days} "
        "order by user_id, event_at, event_id",
        "short_window_behaviour": f"{window} {age} <= {world.short_days} order by user_id, event_at, event_id",
        "user_item_history": "select user_id, item_id, count(*) as events, max(event_at) as last_event_at, "
        f"sum({decay})::decimal(18, 9) as decayed_weight, max((event_at, event_id))[2] as last_event_id, "
        "max((event_at, event_id, event_type))[3] as last_event_type "
        f"{items} group by all order by user_id, item_id",
        "item_popularity": "select *, row_number() over (order by users desc, events desc, item_id) as popularity_rank "
        f"from (select item_id, count(*) as events, count(distinct user_id) as users {items} group by item_id)",
        "item_trend": "select *, row_number() over (order by events_recent desc, item_id) as trend_rank "
        f"from (select item_id, count(*) as events_recent {items} and {age} <= 7 group by item_id)",
    }


def _write_vectors(connection: duckdb.DuckDBPyConnection, run: Run, world: World) -> None:
    vectors = {key: np.asarray(value, np.float32) for key, value in {**world.vectors, **world.texts}.items()}
    _copy(connection, run.vectors / "item_vectors.parquet", "item_id", world.vectors)
    _copy(connection, run.vectors / "event_vectors.parquet", "event_id", world.texts)
    columns: dict[str, list[Any]] = {name: [] for name in ("user_id", "long", "short", "fused", "gate")}
    columns |= {f"{name}_norm": [] for name in ("long", "short", "fused")}
    for user in sorted({event[1] for event in world.events}):
        means = {}
        for name, low, high in (("long", world.short_days, world.long_days), ("short", -1.0, world.short_days)):
            total, weight = 0.0, 0.0
            for event, owner, item, kind, age in world.events:
                found = [vectors[key] for key in (item, event) if key in vectors]
                if owner == user and low < age <= high and found:
                    own = 2.0 if kind == "purchase" else 1.0
                    total = total + own * np.mean(np.asarray(found, np.float64), axis=0)
                    weight += own
            means[name] = total / weight if weight else None
        units = {name: None if mean is None else mean / np.linalg.norm(mean) for name, mean in means.items()}
        gate = {(True, True): world.gate, (True, False): 1.0, (False, True): 0.0}.get(
            (units["long"] is not None, units["short"] is not None)
        )
        fused = None
        if gate is not None:
            fused = sum(
                share * unit for share, unit in ((gate, units["long"]), (1 - gate, units["short"])) if unit is not None
            )
        columns["user_id"].append(user)
        columns["gate"].append(gate)
        for name, mean in (*means.items(), ("fused", fused)):
            norm = None if mean is None else float(np.linalg.norm(mean))
            columns[f"{name}_norm"].append(norm)
            columns[name].append(None if mean is None else (mean / norm).astype(np.float32).tolist())
    types = {"user_id": pa.string()} | {name: pa.list_(pa.float32()) for name in ("long", "short", "fused")}
    table = pa.table({name: pa.array(values, types.get(name, pa.float64())) for name, values in columns.items()})
    connection.register("user_vectors", table)
    file = run.vectors / "user_vectors.parquet"
    connection.execute(f"copy (select * from user_vectors) to '{file}' (format parquet)")


def _copy(connection: duckdb.DuckDBPyConnection, file: Path, key: str, vectors: Mapping[str, Sequence[float]]) -> None:
    table = pa.table(
        {
            key: pa.array(sorted(vectors), pa.string()),
            "vector": pa.array([list(vectors[name]) for name in sorted(vectors)], pa.list_(pa.float32())),
        }
    )
    connection.register("vectors", table)
    connection.execute(f"copy (select * from vectors) to '{file}' (format parquet)")


def random_world(seed: int, users: int = 30, items: int = 40, **changes: Any) -> World:
    """Return users with long, short, both or no vectors; some items without vector, some unavailable, some texts."""
    random = np.random.default_rng(seed)
    names = [f"i{number:03d}" for number in range(items)]

    def unit() -> list[float]:
        vector = random.normal(size=16)
        return (vector / np.linalg.norm(vector)).tolist()

    events = []
    for user in range(users):
        longest = (3.0, 500.0, 60.0)[user % 3]
        for _ in range(int(random.integers(1, 25))):
            item = None if random.random() < 0.05 else names[min(int(random.exponential(items / 4)), items - 1)]
            kind = "search" if item is None else str(random.choice(["purchase", "rating", "view"]))
            events.append((f"e{len(events):05d}", f"u{user:04d}", item, kind, float(random.uniform(0.01, longest))))
    return replace(
        World(
            events=events,
            items=names,
            vectors={name: unit() for name in names if random.random() < 0.9},
            texts={event[0]: unit() for event in events if event[2] is None or random.random() < 0.1},
            unavailable=frozenset(names[::9]),
            titles={name: f"Title of {name}" for name in names[::2]},
        ),
        **changes,
    )


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def new_random_world() -> Callable[..., World]:
    return random_world


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[World], Run]:
    """Return a function that writes a run's inputs into a fresh folder."""
    return lambda world: write_run(tmp_path_factory.mktemp("ranking"), world)


@pytest.fixture(scope="session")
def ranked_rows() -> Callable[..., list[dict[str, Any]]]:
    """Return a function that ranks a run and reads its rows back, in the order they were written."""

    def read(run: Run, user_block: int = 7) -> list[dict[str, Any]]:
        rank(run, Settings(source="canonical", home=run.root, threads=2, user_block=user_block))
        with duckdb.connect() as connection:
            files = [str(file) for file in sorted(run.scored.glob("*.parquet"))]
            result = connection.execute("select * from read_parquet($1)", [files])
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    return read

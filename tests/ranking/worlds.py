"""A small run with the files that ranking reads, made from plain rows; its user vectors are computed in plain loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.vector_files import to_column, vector_schema, writing
from tideline.ranking.learned import Trained
from tideline.ranking.learned.model import Model
from tideline.ranking.learned.untrained import untrained
from tideline.run import Run, name_run
from tideline.window import window_ending

AS_OF = datetime(2020, 6, 1)
MODEL = "test-encoder"
NO_RULES = {
    "category_cap": None,
    "boosts": {},
    "diversity": 0.0,
    "exploration_share": 0.0,
    "exploration_days": 28.0,
}
RULE_TYPES = (pa.int32(), pa.map_(pa.string(), pa.float64()), pa.float64(), pa.float64(), pa.float64())


@dataclass
class World:
    """What a run starts from. `events`: (event_id, user_id, item_id or None, event_type, days before as_of)."""

    events: Sequence[tuple[str, str, str | None, str, float]]
    items: Sequence[str]
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)
    texts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unavailable: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    titles: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)
    available_from: Mapping[str, float] = field(default_factory=dict)
    """Days before `as_of`."""
    repeats_allowed: bool = False
    top_k: int = 5
    gate: float = 0.5
    short_days: float = 7.0
    long_days: float = 365.0
    trend_days: float = 7.0
    rules: Mapping[str, Any] = field(default_factory=dict)
    """Columns of `run_settings` that differ from `NO_RULES`."""
    users: Iterable[str] | None = None
    """Users in scope; None: those with events."""

    @property
    def in_scope(self) -> list[str]:
        return sorted({event[1] for event in self.events} if self.users is None else self.users)


def weight_of(kind: str) -> float:
    """The weight of an event by its type, as the seed of weights has it."""
    return 2.0 if kind == "purchase" else 1.0


def write_run(
    root: Path, world: World, kind: Literal["nightly", "hourly"] = "nightly", as_of: datetime = AS_OF, **changes: Any
) -> Run:
    """Write `tables` and `vectors` of a run below `root`."""
    window = window_ending(kind, as_of.replace(tzinfo=UTC))
    run = replace(
        Run(name_run(window, str(world)), window, root, "canonical", model_version="untrained-1+test"), **changes
    )
    run.tables.mkdir(parents=True)
    run.vectors.mkdir(parents=True)

    def moment(age: float | None) -> datetime | None:
        return None if age is None else as_of - timedelta(days=age)

    scope = set(world.in_scope)
    names = ("user_id", "item_id", "event_id", "event_type", "event_at", "weight", "decay_weight")
    rows = [
        (user, item, event, kind, moment(age), weight_of(kind), weight_of(kind))
        for event, user, item, kind, age in sorted(world.events, key=lambda row: (row[1], -row[4], row[0]))
        if user in scope
    ]
    types = (pa.string(),) * 4 + (pa.timestamp("us"), pa.decimal128(18, 6), pa.decimal128(18, 9))
    windows = {"long": (world.short_days, world.long_days), "short": (-1e9, world.short_days)}
    for name, (low, high) in windows.items():
        kept = [row for row in rows if low < (as_of - row[4]) / timedelta(days=1) <= high]
        _write(run, f"{name}_window_behaviour", names, types, kept)
    _write(run, "user_events", names[:6], types[:6], [row[:6] for row in rows if row[1] is not None])
    _write(run, "dim_users", ("user_id",), (pa.string(),), [(user,) for user in sorted(scope)])
    items = [
        (
            item,
            world.titles.get(item),
            world.categories.get(item),
            moment(world.available_from.get(item)),
            item not in world.unavailable,
            item in world.blocked,
        )
        for item in sorted(world.items)
    ]
    columns = ("item_id", "title", "category", "available_from", "is_available", "is_blocked")
    _write(run, "dim_items", columns, (pa.string(),) * 3 + (pa.timestamp("us"), pa.bool_(), pa.bool_()), items)
    rules = {**NO_RULES, **world.rules}
    columns = ("as_of", "top_k", "repeats_allowed", "trend_days", *rules)
    row = (as_of, world.top_k, world.repeats_allowed, world.trend_days, *rules.values())
    types = (pa.timestamp("us"), pa.int32(), pa.bool_(), pa.float64(), *RULE_TYPES)
    _write(run, "run_settings", columns, types, [row])
    write_vectors(run, world)
    return run


def _write(run: Run, name: str, columns: Sequence[str], types: Sequence[pa.DataType], rows: list[tuple]) -> None:
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    arrays = [
        pa.array([list(cell.items()) if isinstance(cell, dict) else cell for cell in value], kind)
        if pa.types.is_map(kind)
        else pa.array(list(value)).cast(kind)
        for value, kind in zip(values, types, strict=True)
    ]
    pq.write_table(pa.table(dict(zip(columns, arrays, strict=True))), run.tables / f"{name}.parquet")


def window_means(world: World, user: str) -> dict[str, tuple[dict[str, np.ndarray], np.ndarray | None]]:
    """Of the long and the short window: what each event adds to the mean, and the mean, None without a vector."""
    vectors = {key: np.asarray(value, np.float64) for key, value in {**world.vectors, **world.texts}.items()}
    found = {}
    for name, low, high in (("long", world.short_days, world.long_days), ("short", -1e9, world.short_days)):
        own = {}
        for event, owner, item, kind, age in world.events:
            known = [vectors[key] for key in (item, event) if key in vectors]
            if owner == user and low < age <= high and known:
                own[event] = weight_of(kind) * np.mean(known, axis=0)
        total = sum(weight_of(event[3]) for event in world.events if event[0] in own)
        shares = {event: value / total for event, value in own.items()}
        found[name] = (shares, sum(shares.values()) if shares else None)
    return found


def write_vectors(run: Run, world: World) -> None:
    """Write the vectors of items, of events with text, and of users."""
    dimension = len(next(iter({**world.vectors, **world.texts}.values()), [0.0, 0.0]))
    for name, key, vectors in (("item", "item_id", world.vectors), ("event", "event_id", world.texts)):
        matrix = np.array([vectors[key] for key in sorted(vectors)]).reshape(-1, dimension)
        schema = vector_schema(key, dimension, MODEL)
        with writing(run.vectors / f"{name}_vectors.parquet", schema) as writer:
            writer.write_table(pa.table([pa.array(sorted(vectors), pa.string()), to_column(matrix)], schema=schema))
    parts = ("long", "short", "fused")
    means = [{name: mean for name, (_, mean) in window_means(world, user).items()} for user in world.in_scope]
    fused = [fuse_means(world, found) for found in means]
    for found, (_, both) in zip(means, fused, strict=True):
        found["fused"] = both
    columns: dict[str, pa.Array] = {"user_id": pa.array(world.in_scope, pa.string())}
    columns["gate"] = pa.array([gate for gate, _ in fused], pa.float64())
    for name in parts:
        norms = [None if found[name] is None else float(np.linalg.norm(found[name])) for found in means]
        units = [
            np.zeros(dimension) if norm is None else found[name] / norm
            for found, norm in zip(means, norms, strict=True)
        ]
        present = np.array([norm is not None for norm in norms], dtype=bool)
        columns[name] = to_column(np.array(units).reshape(-1, dimension), present)
        columns[f"{name}_norm"] = pa.array(norms, pa.float64())
    pq.write_table(pa.table(columns), run.vectors / "user_vectors.parquet")


def fuse_means(world: World, means: Mapping[str, Any]) -> tuple[float | None, Any]:
    """Return the gate and the fused vector before it is made a unit vector; None and None without vectors."""
    units = {name: mean / np.linalg.norm(mean) for name, mean in means.items() if mean is not None}
    if not units:
        return None, None
    gate = world.gate if len(units) == 2 else float("long" in units)
    share = {"long": gate, "short": 1 - gate}
    return gate, sum(share[name] * unit for name, unit in units.items())


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
    kinds = ("tea", "coffee", "cups|tea", "cups | coffee|tins", "")
    return replace(
        World(
            events=events,
            items=names,
            vectors={name: unit() for name in names if random.random() < 0.9},
            texts={event[0]: unit() for event in events if event[2] is None or random.random() < 0.1},
            unavailable=frozenset(names[::9]),
            titles={name: f"Title of {name}" for name in names[::2]},
            categories={name: kinds[number % 5] for number, name in enumerate(names) if number % 7},
        ),
        **changes,
    )


def rank_by(*features: str) -> Trained:
    """Return what ranks by the sum of some features, in either mode."""
    model = Model(features[0], linear=dict.fromkeys(features, 1.0), linear_scale=1.0)
    return replace(untrained(), models={"repeats": model, "new": model})

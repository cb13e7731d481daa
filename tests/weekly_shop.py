"""A small shop whose users buy weekly, written as a run of `AS_OF` has it: tables and vectors of text."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.vector_files import to_column, vector_schema, writing

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
USERS, ITEMS, GROUPS, SHORT_DAYS = 60, 40, 8, 7
UNSOLD = 2
"""Items after the others that nobody has had."""
Event = tuple[int, int, float]
"""User, item, days before `AS_OF`."""


def make_events(seed: int = 0) -> list[Event]:
    """Users buy weekly: half of them always from one group of items, the others from a new one each week."""
    random = np.random.default_rng(seed)
    events = []
    for user in range(USERS):
        for week in range(11):
            group = user % GROUPS if user < USERS // 2 else (user + week // 2) % GROUPS
            for item in random.choice(ITEMS // GROUPS, 2, replace=False):
                events.append((user, group * (ITEMS // GROUPS) + int(item), week * 7 + float(random.uniform(0.5, 6.5))))
    return events


def write_run(
    folder: Path,
    settings: Settings,
    events: list[Event],
    *,
    texts: int = 0,
    without_text: Collection[int] = (),
    half_life: float | None = None,
) -> np.ndarray:
    """Write a run; items of a group have like texts. Return the items' text vectors, zero rows for `without_text`.

    The first `texts` events have a text of their own; `half_life` is that of the short window, in days.
    """
    model = describe_model(settings)
    tables, vectors = folder / "tables", folder / "vectors"
    tables.mkdir(parents=True)
    random = np.random.default_rng(9)
    groups = np.append(np.repeat(np.arange(GROUPS), ITEMS // GROUPS), np.arange(UNSOLD))
    matrix = random.standard_normal((GROUPS, model.dimension))[groups]
    matrix += 0.3 * random.standard_normal(matrix.shape)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix[list(without_text)] = 0
    item_ids = [f"i{row:02}" for row in range(len(matrix))]
    has_text = matrix.any(axis=1)
    for file, column, ids, own in (
        ("item_vectors", "item_id", np.array(item_ids)[has_text].tolist(), matrix[has_text]),
        ("event_vectors", "event_id", [f"e{row:05}" for row in range(texts)], matrix[has_text][:texts]),
    ):
        schema = vector_schema(column, model.dimension, model.model_id)
        with writing(vectors / f"{file}.parquet", schema) as writer:
            writer.write_table(pa.table([pa.array(ids, pa.string()), to_column(own)], schema=schema))
    pq.write_table(pa.table({"item_id": item_ids}), tables / "dim_items.parquet")
    _write_events(tables, events, half_life)
    return matrix.astype(np.float32)


def _write_events(tables: Path, events: list[Event], half_life: float | None) -> None:
    age = np.array([age for _, _, age in events])
    recent = age <= SHORT_DAYS
    decay = np.where(recent, 1.0 if half_life is None else 0.5 ** (age / (half_life or 1)), 1.0)
    moments = [(AS_OF - timedelta(days=float(days))).replace(tzinfo=None) for days in age]
    table = pa.table(
        {
            "user_id": [f"u{user:02}" for user, _, _ in events],
            "item_id": [f"i{item:02}" for _, item, _ in events],
            "event_id": [f"e{row:05}" for row in range(len(events))],
            "event_at": pa.array(moments, pa.timestamp("us")),
            "weight": pa.array([Decimal(1)] * len(events), pa.decimal128(18, 6)),
            "decay_weight": pa.array([Decimal(f"{value:.9f}") for value in decay], pa.decimal128(18, 9)),
        }
    )
    pq.write_table(table.drop_columns("decay_weight"), tables / "user_events.parquet")
    pq.write_table(table.filter(pa.array(~recent)), tables / "long_window_behaviour.parquet")
    pq.write_table(table.filter(pa.array(recent)), tables / "short_window_behaviour.parquet")
    users = table.group_by("user_id").aggregate([("event_at", "max")]).rename_columns(["user_id", "last_event_at"])
    pq.write_table(users, tables / "dim_users.parquet")
    own = {"long_window_days": 365.0, "short_window_days": float(SHORT_DAYS), "repeats_allowed": True}
    own |= {"long_half_life_days": None, "short_half_life_days": half_life}
    pq.write_table(pa.Table.from_pylist([own]), tables / "run_settings.parquet")

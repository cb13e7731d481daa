"""Fixtures of the embedding room: a home below the test's own folder, and small tables of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings.settings import Settings, load_settings

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEMS = pa.schema([(name, pa.string()) for name in ("item_id", "title", "category", "description")])
EVENTS = pa.schema([(name, pa.string()) for name in ("user_id", "event_id", "event_text")])
WriteRun = Callable[..., tuple[Path, Path]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", threads=2)


@pytest.fixture
def as_of() -> datetime:
    return AS_OF


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Write the two tables of texts of a run: rows as dictionaries, or texts alone (then ids are made up)."""

    def write(
        items: Sequence[dict | str | None] = (), events: Sequence[dict | str | None] = (), name: str = "run"
    ) -> tuple[Path, Path]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        paths = folder / "dim_items.parquet", folder / "event_texts.parquet"
        item_rows = [
            row if isinstance(row, dict) else {"item_id": f"i{n}", "title": row} for n, row in enumerate(items)
        ]
        event_rows = [
            row if isinstance(row, dict) else {"event_id": f"e{n}", "event_text": row} for n, row in enumerate(events)
        ]
        pq.write_table(pa.Table.from_pylist(item_rows, schema=ITEMS), paths[0])
        pq.write_table(pa.Table.from_pylist(event_rows, schema=EVENTS), paths[1])
        return paths

    return write

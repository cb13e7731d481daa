"""A tiny house: a lake written by hand in the layout that intake leaves, and runs on it."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline import contracts, warehouse
from tideline.run import Run, name_run
from tideline.window import window_ending


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class House:
    root: Path
    source: str = "canonical"
    runs: int = 0

    @property
    def settings(self) -> Settings:
        return Settings(home=self.root, source=self.source)

    def land(self, batch_id: str, events=(), items=(), landed_at: str = "2024-06-01", reasons=None) -> str:
        """One batch; events and items are dicts, what they leave out is null or derived."""
        folder = self.root / "lake" / "batches" / batch_id
        folder.mkdir(parents=True)
        stamp = {"landed_at": landed_at, "batch_id": batch_id}
        events = [
            {"event_id": f"{batch_id}-{n}", "event_type": "view", "source": self.source, **event, **stamp}
            for n, event in enumerate(events)
        ]
        if events:
            write(folder / "events.parquet", contracts.LAKE_EVENTS, events)
        if items:
            write(folder / "items.parquet", contracts.LAKE_ITEMS, [{**item, **stamp} for item in items])
        refused = sum((reasons or {}).values())
        counts = {
            "rows_read": len(events) + len(items) + refused,
            "accepted": len(events) + len(items),
            "quarantined": refused,
            "ignored": 0,
            "events": len(events),
            "items": len(items),
        }
        batch = {
            "batch_id": batch_id,
            "source": self.source,
            "landed_at": at(landed_at).isoformat(),
            "file": f"{batch_id}.csv",
            "sha256": "0" * 64,
            "bytes": 1,
            "mtime_ns": 1,
            "table": "events",
            "reasons": reasons or {},
            **counts,
        }
        (folder / "batch.json").write_text(json.dumps(batch))
        return batch_id

    def open(self, kind: str, as_of: str, batches, **fields) -> Run:
        """A run of its own folder on these batches."""
        self.runs += 1
        window = window_ending(kind, at(as_of))
        run = Run(name_run(window, str(self.runs)), window, self.root, self.source, batches=tuple(batches), **fields)
        run = replace(run, generation=f"g{self.runs}", model_version="m1")
        run.save()
        return run

    def built(self, kind: str, as_of: str, batches, **fields) -> Run:
        """A run with its behaviour tables."""
        run = self.open(kind, as_of, batches, **fields)
        warehouse.build_behaviour(run, self.settings)
        return run

    @staticmethod
    def table(run: Run, name: str) -> list[dict]:
        """Rows of a table as dicts, ordered by all columns."""
        return query(run, f"select * from {name} order by all")


def query(run: Run, sql: str) -> list[dict]:
    with duckdb.connect(str(run.warehouse), read_only=True) as connection:
        answer = connection.execute(sql)
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def write(file: Path, columns, rows: list[dict]) -> None:
    """Rows as Parquet with the columns of a contract."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"create table t ({contracts.ddl(columns)})")
        places = ", ".join("?" * len(columns))
        if rows:
            connection.executemany(
                f"insert into t values ({places})", [[row.get(column.name) for column in columns] for row in rows]
            )
        connection.execute(f"copy t to '{file}' (format parquet)")


@pytest.fixture(scope="session")
def parsed(tmp_path_factory):
    """Parsed projects, shared by all homes: parsing takes longer than building."""
    return tmp_path_factory.mktemp("parsed")


@pytest.fixture(scope="session")
def new_house(parsed, tmp_path_factory):
    def make(source: str = "canonical") -> House:
        root = tmp_path_factory.mktemp("house")
        (root / "cache").symlink_to(parsed)
        return House(root, source)

    return make


@pytest.fixture
def house(new_house):
    return new_house()


@pytest.fixture(scope="session")
def ask():
    return query


@pytest.fixture(scope="session")
def write_rows():
    return write

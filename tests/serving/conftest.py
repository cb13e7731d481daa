"""A publication room to play in: runs whose warehouses are written directly, as the marts would leave them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.contracts import SCORED, ddl
from tideline.run import Run, name_run
from tideline.serving import connect
from tideline.window import Kind, window_ending

MIDNIGHT = datetime(2000, 11, 23, tzinfo=UTC)
TAIL = '"as_of" timestamp, "generation" varchar'
TABLES = {
    "nightly_recommendations": f"{ddl(SCORED)}, {TAIL}",
    "hourly_recommendations": f"{ddl(SCORED)}, {TAIL}",
    "popular_recommendations": f"rank integer, item_id varchar, title varchar, category varchar, score double, {TAIL}",
    "popular_by_category": f"category varchar, rank integer, item_id varchar, title varchar, {TAIL}",
    "user_interests": "user_id varchar, long_events bigint, short_events bigint, gate double, "
    f"last_event_at timestamp, {TAIL}",
    "items": f"item_id varchar, title varchar, is_available boolean, {TAIL}",
    "intake": "batch_id varchar, source varchar, file varchar, rows_read bigint",
    "run_accounting": "accepted bigint, used_long bigint, used_short bigint, outside_windows bigint, "
    "not_yet_due bigint, too_late bigint, duplicates bigint, taken_back bigint, no_interest bigint",
    "click_through": "subject varchar, exposures bigint, clicks bigint, clicks_without_exposure bigint, "
    "click_through_rate double",
    "quarantine_summary": "batch_id varchar, file varchar, rule varchar, reason varchar, count bigint",
}
ROW = """
insert into {kind}_recommendations
select $user, r.rank, 'item' || r.rank, $score / r.rank, null, null, [{{'part': 'base', 'value': $score / r.rank}}], [],
       'a reason', [], ['popular'], 'model', $as_of, $generation
from (select unnest(range(1, $top + 1))::integer as rank) as r
"""


@dataclass(frozen=True)
class Room:
    """A home and the means to make runs in it."""

    settings: Settings

    @property
    def serving(self) -> Path:
        return self.settings.root / "serving"

    @staticmethod
    def at(hours: float) -> datetime:
        """The instant so many hours after the night that the tests start from."""
        return MIDNIGHT + timedelta(hours=hours)

    def shown(self, generation: str | None = None) -> dict[str, tuple[float, str]]:
        """What `recommendations` shows: for each user the first score and the generation; the lists must be whole."""
        with connect(self.settings, generation) as connection:
            rows = connection.execute(
                "select user_id, max(score) filter (rank = 1), min(generation), count(distinct generation), "
                "list(rank order by rank) = list_transform(range(1, count(*) + 1), lambda r: r::integer) "
                "from recommendations group by user_id order by user_id"
            ).fetchall()
        assert all(generations == 1 and gapless for *_, generations, gapless in rows)
        return {user: (score, generation) for user, score, generation, *_ in rows}

    def ask(self, query: str, generation: str | None = None) -> list[tuple[Any, ...]]:
        """Answer a query on what is published."""
        with connect(self.settings, generation) as connection:
            return connection.execute(query).fetchall()

    def make_run(
        self,
        kind: Kind,
        as_of: datetime,
        scores: Mapping[str, float],
        *,
        token: str = "",
        batches: Sequence[str] = ("b1",),
        base: str | None = None,
        top: int = 3,
        title: str = "title",
    ) -> Run:
        """Make a run with `top` rows for each user; a user's score tells its rows from those of other runs.

        A user with score 0 has been in scope and got no row. `token` tells generations with equal content apart.
        """
        inputs = json.dumps([kind, as_of.isoformat(), dict(scores), token, list(batches), title])
        digest = sha256(inputs.encode()).hexdigest()[:8]
        run = Run(
            run_id=name_run(window_ending(kind, as_of), inputs),
            window=window_ending(kind, as_of),
            root=self.settings.root,
            source="canonical",
            batches=tuple(batches),
            base=base,
            generation=f"{as_of:%Y%m%dT%H%M%SZ}-{kind}-{digest}",
            model_version="blend+model",
        )
        run.save()
        (run.path / "stages.jsonl").write_text(
            '{"stage": "rank", "seconds": 9.0, "rows": {}, "peak_mb": 1.0}\n'
            '{"stage": "rank", "seconds": 1.5, "rows": {}, "peak_mb": 80.0}\n'
            '{"stage": "embed_shard", "part": "000-of-another-plan", "seconds": 9.0, "peak_mb": 9.0}\n'
            '{"stage": "plan_texts", "seconds": 0.5, "peak_mb": 1.0}\n'
            '{"stage": "embed_shard", "part": "000-a", "seconds": 7.0, "peak_mb": 1.0, "failure": "killed"}\n'
            '{"stage": "embed_shard", "part": "000-a", "seconds": 2.0, "peak_mb": 1.0}\n'
            '{"stage": "embed_shard", "part": "001-b", "seconds": 3.0, "peak_mb": 2.0}\n'
            '{"stage": "collect_vectors", "seconds": 1.0, "rows": {"embedded": 7, "truncated": 2, "failed": 1}}\n'
            '{"stage": "mar'
        )
        write_warehouse(run, scores, top, title)
        return run


def write_warehouse(run: Run, scores: Mapping[str, float], top: int, title: str) -> None:
    """Write the warehouse that the marts of such a run would leave."""
    run.warehouse.unlink(missing_ok=True)
    naive = run.window.as_of.replace(tzinfo=None)
    tail = [naive, run.generation]
    with duckdb.connect(str(run.warehouse)) as connection:
        for table, columns in TABLES.items():
            connection.execute(f"create table {table} ({columns})")
            connection.execute(f"comment on table {table} is 'Grain: one row of {table}, the user''s own.'")
            first = columns.split()[0].strip('"')
            connection.execute(f"comment on column {table}.{first} is 'The first column.'")
        for user, score in scores.items():
            bound = {"user": user, "score": score, "top": top, "as_of": naive, "generation": run.generation}
            if score:
                connection.execute(ROW.format(kind=run.kind), bound)
            connection.execute("insert into user_interests values (?, 1, 1, ?, ?, ?, ?)", [user, score, naive, *tail])
        for rank in range(1, 6):
            connection.execute(
                "insert into popular_recommendations values (?, ?, ?, null, 1.0, ?, ?)",
                [rank, f"item{rank}", title, *tail],
            )
            connection.execute(
                "insert into popular_by_category values ('hats', ?, ?, ?, ?, ?)", [rank, f"item{rank}", title, *tail]
            )
            connection.execute("insert into items values (?, ?, true, ?, ?)", [f"item{rank}", title, *tail])
        connection.execute("insert into run_accounting values (46, 1, 2, 4, 5, 7, 8, 10, 9)")
        for batch in run.batches:
            connection.execute("insert into intake values (?, 'canonical', 'f', 10)", [batch])
            connection.execute(
                "insert into quarantine_summary values (?, 'f', 'user_id_missing', 'no user', 1)", [batch]
            )


@pytest.fixture
def make_room(tmp_path: Path) -> Callable[..., Room]:
    """Rooms with settings of one's own."""

    def make(**overrides: object) -> Room:
        values = {"source": "canonical", "home": tmp_path / "home", "threads": 1, "memory_limit": "1GB", **overrides}
        return Room(Settings(**values))

    return make


@pytest.fixture
def room(make_room: Callable[..., Room]) -> Room:
    """A room with the usual settings."""
    return make_room()


@pytest.fixture(scope="session")
def make_room_at() -> Callable[[Path], Room]:
    """Rooms in a folder of the test's own choice: for tests that make many."""
    return lambda home: Room(Settings(source="canonical", home=home, threads=1, memory_limit="1GB"))

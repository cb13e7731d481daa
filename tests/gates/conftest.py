"""A small run as the stages leave it: two batches in the lake, a warehouse with dbt's tables, made directly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from embeddings.settings import Settings
from tideline import contracts
from tideline.gates import GateError, check
from tideline.gates.measures import Outcome
from tideline.run import Run
from tideline.window import window_ending

AS_OF = datetime(2000, 11, 23, tzinfo=UTC)
PRIVATE = "my secret review of a film"

EVENTS = [
    # id, user, item, type, at, value, text
    ("e1", "u1", "i1", "rating", "2000-01-05 10:00", 4.0, PRIVATE),
    ("e2", "u1", "i2", "rating", "2000-11-20 10:00", 5.0, None),
    ("e3", "u2", "i2", "rating", "2000-02-01 10:00", 3.0, None),
    ("e4", "u2", None, "search", "2000-03-01 10:00", None, PRIVATE),
    ("e5", "u3", "i3", "rating", "2000-11-22 23:59:59", 2.0, None),
]
ITEMS = [(f"i{number}", f"Title {number}", None if number < 6 else "2000-11-01") for number in range(1, 7)]


def write_batch(
    root: Path,
    batch_id: str,
    events: Sequence[tuple] = (),
    items: Sequence[tuple] = (),
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write a batch as intake does; `record` overrides fields of `batch.json`."""
    folder = root / "lake" / "batches" / batch_id
    folder.mkdir(parents=True)
    landed_at = "2000-11-23 01:00"
    with duckdb.connect() as connection:
        connection.execute(f"create table events ({contracts.ddl(contracts.LAKE_EVENTS)})")
        connection.execute(f"create table items ({contracts.ddl(contracts.LAKE_ITEMS)})")
        for event in events:
            connection.execute(
                "insert into events values (?, ?, ?, ?, ?, ?, ?, 'canonical', ?, null, ?)",
                [*event, landed_at, batch_id],
            )
        for item_id, title, until in items:
            connection.execute(
                "insert into items values (?, ?, null, null, null, ?, null, ?, ?)",
                [item_id, title, until, landed_at, batch_id],
            )
        for table, rows in (("events", events), ("items", items)):
            if rows:
                connection.table(table).write_parquet(str(folder / f"{table}.parquet"))
    counts = {
        "rows_read": len(events) + len(items),
        "accepted": len(events) + len(items),
        "quarantined": 0,
        "ignored": 0,
        "reasons": {},
        "events": len(events),
        "items": len(items),
    }
    file = {"batch_id": batch_id, "source": "canonical", "file": f"{batch_id}.csv", "landed_at": landed_at}
    (folder / "batch.json").write_text(json.dumps({**file, **counts, **(record or {})}))


WAREHOUSE = """
create table run_settings as select 3 as top_k, false as repeats_allowed, null::integer as category_cap;
create table dim_items as
    select item_id, title, null::varchar as description, 'hats' as category, null::timestamp as available_from,
        available_until::timestamp as available_until, available_until is null as is_available,
        false as is_blocked
    from items;
create table int_users__in_scope as select distinct user_id from events;
create table int_events__in_scope as
    select event_id, user_id, item_id, event_type, event_at::timestamp as event_at from events;
create table dim_users as select user_id, count(*) as events from events group by user_id;
create table long_window_behaviour as
    select user_id, item_id, event_id, event_type, event_at::timestamp as event_at, event_value,
        event_text is not null as has_text, 1::decimal(18, 6) as weight, 0.5::decimal(18, 9) as decay_weight,
        timestamp '1999-11-23' as window_starts_at, timestamp '2000-11-16' as window_ends_at
    from events where event_at < '2000-11-16';
create table short_window_behaviour as
    select user_id, item_id, event_id, event_type, event_at::timestamp as event_at, event_value,
        event_text is not null as has_text, 1::decimal(18, 6) as weight, 1::decimal(18, 9) as decay_weight,
        timestamp '2000-11-16' as window_starts_at, timestamp '2000-11-23' as window_ends_at
    from events where event_at >= '2000-11-16';
create table user_events as
    select user_id, item_id, event_id, event_at::timestamp as event_at from events where item_id is not null;
create table popular_recommendations as select 1 as rank, 'i1' as item_id;
create table popular_by_category as select 'hats' as category, 1 as rank, 'i1' as item_id;
create table nightly_recommendations as
    with possible as (
        select users.user_id, items.item_id,
            row_number() over (partition by users.user_id order by items.item_id) as rank
        from dim_users as users cross join dim_items as items
        anti join user_events as seen on seen.user_id = users.user_id and seen.item_id = items.item_id
        where items.is_available
    )
    select user_id, rank::integer as rank, item_id, 1.0::double / rank as score,
        [{'part': 'base', 'value': 0.0::double}, {'part': 'long', 'value': 1.0::double / rank}] as score_parts,
        (select list({'event_id': event_id, 'item_id': item_id, 'event_type': event_type,
            'event_at': event_at::timestamp, 'part': 'long', 'contribution': 0.5::double})
            from events where events.user_id = possible.user_id) as because,
        timestamp '2000-11-23' as as_of, 'generation-1' as generation
    from possible where rank <= 3;
create table hourly_recommendations as from nightly_recommendations where false;
"""


def make_run(root: Path, kind: str = "nightly", **changes: Any) -> Run:
    """A pinned run over the two batches."""
    run = Run(
        f"{kind}-20001123T000000Z-0123abcd",
        window_ending(kind, AS_OF),
        root,
        "canonical",
        batches=("events-1", "items-1"),
        generation="generation-1",
    )
    return replace(run, **changes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(source="canonical", home=tmp_path / "it's home", threads=1, memory_limit="1GB")


@pytest.fixture
def root(settings: Settings) -> Path:
    """A root with the two batches."""
    write_batch(settings.root, "events-1", events=EVENTS)
    write_batch(settings.root, "items-1", items=ITEMS)
    return settings.root


def build_warehouse(run: Run, breakage: str = "") -> Run:
    """Make the run's warehouse from the events above, then break it with SQL."""
    run.path.mkdir(parents=True)
    with duckdb.connect(str(run.warehouse)) as connection:
        types = "event_id varchar, user_id varchar, item_id varchar, event_type varchar, event_at varchar, "
        connection.execute(f"create temp table events ({types} event_value double, event_text varchar)")
        connection.executemany("insert into events values (?, ?, ?, ?, ?, ?, ?)", EVENTS)
        connection.execute("create temp table items (item_id varchar, title varchar, available_until varchar)")
        connection.executemany("insert into items values (?, ?, ?)", ITEMS)
        connection.execute(WAREHOUSE)
        connection.execute(breakage or "select 1")
    return run


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """How to make a run, its batches and its warehouse, and what they are made of."""
    return SimpleNamespace(
        run=make_run, batch=write_batch, warehouse=build_warehouse, events=EVENTS, items=ITEMS, private=PRIVATE
    )


@pytest.fixture
def failures(settings: Settings) -> Callable[[str, Run], Mapping[str, Outcome]]:
    """Check a suite that must fail; return what failed, by name."""

    def checked(suite: str, run: Run) -> Mapping[str, Outcome]:
        with pytest.raises(GateError) as caught:
            check(suite, run, settings)
        return {outcome.measure.name: outcome for outcome in caught.value.outcomes}

    return checked

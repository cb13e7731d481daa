"""A home that `make bench-hourly` grows from a small one is one that an hour can be published into."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings.store import read_table
from tideline.benches.grown_home import deliver_over_time, grow
from tideline.benches.hourly_shop import AS_OF, land_hour, land_year
from tideline.benches.lookups import publishing, read_for
from tideline.benches.small_home import environment_of
from tideline.serving import publish

MODEL = "tiny@0/2"
USERS = ("customer-0000000", "customer-0000001")


def write_vectors(run, users):
    run.vectors.mkdir(parents=True)
    vector = pa.list_(pa.float32(), 2)
    columns = {"user_id": pa.array(users), "long": pa.array([[1.0, 0.0]] * len(users), vector)}
    columns["as_of"] = pa.array([run.window.as_of.replace(tzinfo=None)] * len(users), pa.timestamp("us"))
    columns["model"] = pa.array([MODEL] * len(users))
    pq.write_table(pa.table(columns), run.vectors / "user_vectors.parquet")
    items = {"item_id": pa.array(["item1"]), "vector": pa.array([[1.0, 0.0]], vector), "model": pa.array([MODEL])}
    pq.write_table(pa.table(items), run.vectors / "item_vectors.parquet")


def write_batch(root: Path) -> Path:
    batch = root / "lake" / "batches" / "b1"
    batch.mkdir(parents=True)
    rows = {"user_id": list(USERS), "event_id": ["e0", "e1"], "event_at": [AS_OF.replace(tzinfo=None)] * 2}
    pq.write_table(pa.table(rows), batch / "events.parquet")
    counts = {"events": 2, "rows_read": 3, "accepted": 2, "quarantined": 1, "ignored": 0}
    (batch / "batch.json").write_text(json.dumps({"file": "events/year-03.parquet", "landed_at": "now", **counts}))
    return batch


def test_a_grown_home_has_the_users_of_the_small_one_so_many_times(room, make_room, tmp_path):
    night = room.make_run("nightly", room.at(0), dict.fromkeys(USERS, 1.0))
    write_vectors(night, USERS)
    publish(night, room.settings)
    batch = write_batch(room.settings.root)
    large = make_room(home=tmp_path / "large")

    deliver_over_time(room.settings.root)
    grow(room.settings, large.settings, users=2, copies=3)

    names = [f"customer-{number:07}" for number in range(6)]
    assert list(large.shown()) == names
    grown = large.settings.root / batch.relative_to(room.settings.root)
    events = pq.read_table(grown / "events.parquet").to_pylist()
    assert sorted(event["user_id"] for event in events) == names and len({event["event_id"] for event in events}) == 6
    record = json.loads((grown / "batch.json").read_text())
    assert (record["events"], record["rows_read"], record["landed_at"]) == (6, 9, "2025-12-25T18:00:00+00:00")
    assert sorted(read_table(large.settings, MODEL, "user_vectors", night.generation)["user_id"].to_pylist()) == names

    hour = replace(room.make_run("hourly", room.at(1), {names[4]: 2.0}), root=large.settings.root)
    hour.path.mkdir(parents=True)
    for file in (room.settings.root / "runs" / hour.run_id).iterdir():
        file.rename(hour.path / file.name)
    publish(hour, large.settings)
    shown = large.shown()
    assert shown.pop(names[4]) == (2.0, hour.generation) and {row[1] for row in shown.values()} == {night.generation}


def test_the_shop_lands_what_was_asked_for(tmp_path):
    land_year(tmp_path, users=10, items=30, each=4)
    end = land_hour(tmp_path, number=2, users=10, items=30, active=5)

    with duckdb.connect() as connection:

        def ask(query: str) -> tuple:
            return connection.sql(query.format(tmp_path / "events")).fetchall()[0]

        assert ask("select count(*), count(distinct user_id) from '{}/year-*.parquet'") == (40, 10)
        assert ask("select max(event_at) from '{}/year-*.parquet'")[0] < AS_OF.replace(tzinfo=None)
        users, first, last = ask(
            "select count(distinct user_id), min(event_at), max(event_at) from '{}/hour-02.parquet'"
        )
        assert users == 5
        assert (end.replace(tzinfo=None) - last).total_seconds() > 0 and first >= AS_OF.replace(tzinfo=None, hour=1)


def test_readers_see_whole_generations_while_hours_are_published(room, make_room, tmp_path, monkeypatch):
    night = room.make_run("nightly", room.at(0), dict.fromkeys(USERS, 1.0))
    write_vectors(night, USERS)
    publish(night, room.settings)
    write_batch(room.settings.root)
    large = make_room(home=tmp_path / "large")
    grow(room.settings, large.settings, users=2, copies=4)
    for name, value in environment_of(large.settings).items():
        monkeypatch.setenv(name, value)

    with publishing(large.settings, environment_of(large.settings), users=8, active=2) as taken:
        for _ in range(60):
            opened = read_for({}, "lookup", "opened for each", users=8, top_k=3, seconds=0.5)
            if opened.generations > 2:
                break
        kept = read_for({}, "lookup", "kept open", users=8, top_k=3, seconds=0.5)

    assert len(taken) > 1 and kept.seconds == sorted(kept.seconds)
    assert opened.generations > 2  # the users of two hours, and some whose rows are of the night
    assert len({generation for _, generation in large.shown().values()}) > 2
    with pytest.raises(RuntimeError, match="has 3 rows of 1 generations, not 4 of one"):
        read_for({}, "lookup", "kept open", users=8, top_k=4, seconds=0)

"""At commit the run's vectors reach the shared store, and only then."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings.store import StoreError, read_table
from tideline.serving import publish
from tideline.serving.manifest import read_manifest

MODEL = "tiny@0/2"


def write_vectors(run, value):
    run.vectors.mkdir(parents=True)
    vector = pa.list_(pa.float32(), 2)
    users = ["a", "b"] if run.kind == "nightly" else ["a"]
    columns = {"user_id": pa.array(users), **{name: pa.array([[value, 0.0]] * len(users), vector) for name in USER}}
    columns |= {name: pa.array([value] * len(users), pa.float64()) for name in NUMBERS}
    columns["as_of"] = pa.array([run.window.as_of.replace(tzinfo=None)] * len(users), pa.timestamp("us"))
    columns["model"] = pa.array([MODEL] * len(users))
    pq.write_table(pa.table(columns), run.vectors / "user_vectors.parquet")
    items = {"item_id": pa.array(["item1"]), "vector": pa.array([[1.0, 0.0]], vector), "model": pa.array([MODEL])}
    pq.write_table(pa.table(items), run.vectors / "item_vectors.parquet")


USER = ("long", "short", "fused")
NUMBERS = ("gate", "long_norm", "short_norm", "fused_norm")


def longs(room, generation=None):
    rows = read_table(room.settings, MODEL, "user_vectors", generation).to_pylist()
    # Whatever the order of nights and hours, a row is of one run: its vectors, norms and gate are.
    assert all({row[name][0] for name in USER} == {row[name] for name in NUMBERS} == {row["long"][0]} for row in rows)
    return {row["user_id"]: row["long"][0] for row in rows}


def test_current_runs_are_merged_and_stored_ones_are_not(room):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1})
    hour = room.make_run("hourly", room.at(25), {"a": 2})
    stored = room.make_run("hourly", room.at(0), {"a": 3})
    for run, value in ((night, 1.0), (hour, 2.0), (stored, 3.0)):
        write_vectors(run, value)
        publish(run, room.settings)
    assert longs(room) == {"a": 2, "b": 1}
    assert longs(room, night.generation) == {"a": 1, "b": 1}
    with pytest.raises(StoreError, match=stored.generation):
        longs(room, stored.generation)
    told = read_manifest(hour.generation, room.settings.root).vectors
    assert (told["model"], told["tag"]) == (MODEL, hour.generation)
    assert read_manifest(stored.generation, room.settings.root).vectors == {}
    # A night that ends after the hour: its user keeps the hour's vector, as he keeps the hour's rows.
    late = room.make_run("nightly", room.at(24), {"a": 4, "b": 4})
    write_vectors(late, 4.0)
    publish(late, room.settings)
    assert longs(room) == {"a": 2, "b": 4}


def test_versions_of_snapshots_that_are_gone_are_forgotten(make_room):
    room = make_room(keep_generations=2)
    nights = [room.make_run("nightly", room.at(24 * day), {"a": day + 1, "b": 1}) for day in range(5)]
    for value, night in enumerate(nights):
        write_vectors(night, float(value))
        publish(night, room.settings)
    with pytest.raises(StoreError, match=nights[0].generation):
        longs(room, nights[0].generation)
    assert longs(room, nights[3].generation) == {"a": 3, "b": 3}

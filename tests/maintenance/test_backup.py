"""A backup is one consistent set, whatever goes on meanwhile; what is restored from it serves and goes on."""

from __future__ import annotations

import json
import shutil
import stat
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving.conftest import Room

from embeddings.home import SCHEMA_VERSION, HomeError
from embeddings.settings import Settings
from embeddings.store import read_table
from tideline.intake import list_batches
from tideline.maintenance.backup import CARD, CONTENT, RestoreError, back_up, restore
from tideline.maintenance.collecting import BackupError
from tideline.serving import publish
from tideline.serving.manifest import base_for
from tideline.serving.pointer import NothingPublishedError
from tideline.serving.vector_reader import vector_reader

MODEL = "tiny@0/2"


def write_vectors(run, users):
    """Vectors of a run: the same for each of its users."""
    run.vectors.mkdir(parents=True)
    vectors = pa.array([[1.0, 0.0]] * len(users), pa.list_(pa.float32(), 2))
    table = {"user_id": pa.array(users), **dict.fromkeys(("long", "short", "fused"), vectors)}
    table |= dict.fromkeys(("gate", "long_norm", "short_norm", "fused_norm"), pa.array([0.5] * len(users)))
    table["as_of"] = pa.array([run.window.as_of.replace(tzinfo=None)] * len(users), pa.timestamp("us"))
    pq.write_table(pa.table({**table, "model": pa.array([MODEL] * len(users))}), run.vectors / "user_vectors.parquet")
    items = {"item_id": ["item1"], "vector": pa.array([[1.0, 0.0]], pa.list_(pa.float32(), 2)), "model": [MODEL]}
    pq.write_table(pa.table(items), run.vectors / "item_vectors.parquet")


def fill(home):
    """Put beside what is published what a backup must hold, too."""
    batch = home / "lake" / "batches" / "b1"
    batch.mkdir(parents=True)
    record = {"batch_id": "b1", "landed_at": "2000-11-23T00:00:00+00:00", "events": 0, "items": 0, "reasons": {}}
    (batch / "batch.json").write_text(json.dumps(record))
    (home / "quarantine" / "discarded").mkdir(parents=True)
    (home / "quarantine" / "discarded" / "d1.parquet").write_bytes(b"decided")
    (home / "models" / "model-1").mkdir(parents=True)
    (home / "models" / "model-1" / "card.json").write_text("{}")
    (home / "models" / "champions.jsonl").write_text('{"version": "model-1"}\n')
    (home / "ledger.key").write_text("secret")
    (home / "ledger.key").chmod(0o600)


@pytest.fixture
def busy(room):
    """A room with a night, an hour on it, and all that belongs to a home."""
    fill(room.settings.root)
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1})
    hour = room.make_run("hourly", room.at(1), {"a": 2}, base=night.run_id)
    for run, users in ((night, ["a", "b"]), (hour, ["a"])):
        write_vectors(run, users)
        run.tables.mkdir()
        (run.tables / "dim_items.parquet").write_bytes(b"items")
        publish(run, room.settings)
    return room, night, hour


def elsewhere(room, home):
    return Room(Settings(**{**room.settings.model_dump(), "home": home}))


def test_what_is_restored_serves_and_the_next_hour_goes_on(busy, tmp_path):
    room, night, hour = busy
    copied = back_up(room.settings, tmp_path / "backup")
    assert copied.generation == hour.generation
    shown, users = room.shown(), read_table(room.settings, MODEL, "user_vectors").sort_by("user_id")
    shutil.rmtree(room.settings.root)

    again = elsewhere(room, tmp_path / "again")
    assert restore(again.settings, tmp_path / "backup") == copied

    assert again.shown() == shown
    assert [batch["batch_id"] for batch in list_batches(again.settings.root)] == ["b1"]
    assert read_table(again.settings, MODEL, "user_vectors", hour.generation).sort_by("user_id") == users
    with vector_reader(again.settings) as read:
        assert [r.fetchall() for r in read("select count(*) from user_vectors")] == [[(2,)]]
    for name in ("quarantine/discarded/d1.parquet", "models/champions.jsonl", "models/model-1/card.json"):
        assert (again.settings.root / name).exists()
    assert stat.S_IMODE((again.settings.root / "ledger.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((again.settings.root / "quarantine").stat().st_mode) == 0o700
    later = again.make_run("hourly", again.at(2), {"b": 3}, base=night.run_id)
    assert base_for(later, again.settings.root).run_id == night.run_id
    write_vectors(later, ["b"])
    counts = publish(later, again.settings)
    assert {user: score for user, (score, _) in again.shown().items()} == {"a": 2, "b": 3}
    assert counts["fence"] == 3 and len(read_table(again.settings, MODEL, "user_vectors")) == 2


def test_a_backup_while_others_publish_is_of_one_generation(busy, tmp_path):
    room, night, _ = busy
    runs = [room.make_run("hourly", room.at(n), {"a": n}, base=night.run_id) for n in range(2, 6)]
    for run in runs:
        write_vectors(run, ["a"])
    publishing = threading.Thread(target=lambda: [publish(run, room.settings) for run in runs])
    publishing.start()
    taken = []
    while publishing.is_alive() or not taken:
        taken.append(tmp_path / f"backup{len(taken)}")
        back_up(room.settings, taken[-1])
    publishing.join()
    assert len(taken) > 1
    for number, backup in enumerate(taken):
        again = elsewhere(room, tmp_path / f"again{number}")
        generation = restore(again.settings, backup).generation
        shown = again.shown()
        assert shown["a"][1] == generation and shown["b"] == (1, night.generation)
        assert len(read_table(again.settings, MODEL, "user_vectors", generation)) == 2


def test_nothing_is_overwritten_and_nothing_damaged_is_restored(busy, tmp_path):
    room, _, _ = busy
    backup = tmp_path / "backup"
    with pytest.raises(BackupError, match="lies in the home"):
        back_up(room.settings, room.settings.root / "backup")
    back_up(room.settings, backup)
    with pytest.raises(BackupError, match="is there already"):
        back_up(room.settings, backup)
    with pytest.raises(RestoreError, match="is not empty"):
        restore(room.settings, backup)
    other = elsewhere(room, tmp_path / "other")
    with pytest.raises(RestoreError, match="is no backup"):
        restore(other.settings, tmp_path)
    card = json.loads((backup / CARD).read_text())
    (backup / CARD).write_text(json.dumps({**card, "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(HomeError, match="use the Tideline that wrote it"):
        restore(other.settings, backup)
    (backup / CARD).write_text(json.dumps({**card, "source": "movielens_1m"}))
    with pytest.raises(RestoreError, match="is of source movielens_1m"):
        restore(other.settings, backup)
    (backup / CARD).write_text(json.dumps(card))
    (snapshot,) = (backup / CONTENT / "serving").glob("snap_*")
    flip(snapshot)
    with pytest.raises(RestoreError, match=r"snap_.* is damaged"):
        restore(other.settings, backup)
    snapshot.unlink()
    with pytest.raises(RestoreError, match="the backup is incomplete"):
        restore(other.settings, backup)
    assert not other.settings.root.exists() and not list(tmp_path.glob(".*"))


def flip(file):
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def test_a_home_that_lacks_something_is_not_backed_up_as_if_it_were_whole(busy, room, tmp_path):
    shutil.rmtree(room.settings.root / "lake" / "batches" / "b1")
    with pytest.raises(BackupError, match=r"1 batches of .* are not in"):
        back_up(room.settings, tmp_path / "backup")
    with pytest.raises(NothingPublishedError, match="nothing to back up"):
        back_up(elsewhere(room, tmp_path / "empty").settings, tmp_path / "backup")


def test_a_home_that_is_not_there_is_not_made_by_backing_it_up(tmp_path):
    settings = Settings(source="canonical", home=tmp_path / "mistyped", landing=tmp_path / "landing")
    with pytest.raises(NothingPublishedError, match="nothing to back up"):
        back_up(settings, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []

"""A reader's connection: what it refuses, what it survives, what it says."""

from __future__ import annotations

import duckdb
import pytest

from tideline.serving import connect, publish
from tideline.serving.pointer import NothingPublishedError, SnapshotError


@pytest.fixture
def published(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1, "b": 2}), room.settings)
    return room


@pytest.mark.parametrize(
    "statement",
    [
        "insert into items select * from items",
        "update items set title = 'x'",
        "drop table items",
        "create table main.mine as select 1",
        "copy items to '{folder}/out.csv'",
        "copy (select 1) to '{snapshot}'",
        "copy (select 1) to '{snapshot}.wal'",
        "copy (select 1) to '/dev/null'",
        "export database '{folder}/out'",
        "attach '{folder}/other.duckdb'",
        "attach '{snapshot}' as again",
        "attach ':memory:' as scratch",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('{snapshot}')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "set threads = 1",
        "set disabled_filesystems = ''",
        "reset lock_configuration",
        "pragma enable_external_access = true",
        "install httpfs",
        "load httpfs",
    ],
)
def test_lockdown(published, tmp_path, statement):
    snapshot = (published.serving / "current.duckdb").resolve()
    content = snapshot.read_bytes()
    with connect(published.settings) as connection, pytest.raises(duckdb.Error):
        connection.execute(statement.format(folder=tmp_path, snapshot=snapshot)).fetchall()
    assert snapshot.read_bytes() == content
    assert not list(published.serving.glob("*.wal"))
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_second_connection_of_a_process_is_as_locked_as_the_first(published):
    with connect(published.settings), connect(published.settings) as second:
        assert second.execute("select count(*) from recommendations").fetchone() == (6,)
        with pytest.raises(duckdb.PermissionException):
            second.execute("select * from read_csv('/etc/passwd')")


def test_open_connection_keeps_its_file(make_room):
    room = make_room(keep_generations=2)
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    with connect(room.settings) as reader:
        file = (room.serving / "current.duckdb").resolve()
        for day in range(1, 5):
            publish(room.make_run("nightly", room.at(24 * day), {"a": day + 1}), room.settings)
        assert not file.exists()
        assert reader.execute("select max(score) from recommendations").fetchone() == (1,)
    assert room.shown()["a"][0] == 5


@pytest.mark.parametrize("path", ["current.duckdb", "snapshot"])
def test_log_of_a_stranger_is_refused_and_moved_aside_by_the_next_publication(published, path):
    snapshot = (published.serving / "current.duckdb").resolve()
    opened = snapshot if path == "snapshot" else published.serving / path
    stale = opened.with_name(f"{opened.name}.wal")
    stale.write_bytes(b"not of this file")
    if path == "snapshot":
        with pytest.raises(SnapshotError, match=r"opened .* for writing"):
            connect(published.settings)
    else:
        assert set(published.shown()) == {"a", "b"}
    publish(published.make_run("hourly", published.at(1), {"a": 3}), published.settings)
    assert not list(published.serving.glob("*.duckdb.wal")) or not stale.exists()
    assert [file.read_bytes() for file in published.serving.glob("stray_*")] == [b"not of this file"]
    with duckdb.connect(str(published.serving / "current.duckdb"), read_only=True) as plain:
        assert plain.execute("select max(score) from recommendations where user_id = 'a'").fetchone() == (3,)


def test_torn_pointer_is_told_and_repaired(published):
    night = (published.serving / "current.duckdb").resolve()
    publish(published.make_run("hourly", published.at(1), {"a": 3}), published.settings)
    (published.serving / "current.duckdb").resolve().unlink()
    with pytest.raises(SnapshotError, match="is gone"):
        connect(published.settings)
    later = published.make_run("hourly", published.at(2), {"b": 4})
    publish(later, published.settings)
    assert night.exists()
    assert {user: score for user, (score, _) in published.shown().items()} == {"a": 1, "b": 4}


def test_pointer_that_is_not_ours_is_left_alone(published):
    pointer = published.serving / "current.duckdb"
    pointer.unlink()
    pointer.write_text("somebody's own file")
    with pytest.raises(SnapshotError, match="not a link"):
        connect(published.settings)
    with pytest.raises(SnapshotError, match="not a link"):
        publish(published.make_run("hourly", published.at(1), {"a": 3}), published.settings)
    assert pointer.read_text() == "somebody's own file"


def test_unknown_generations_are_told_apart(published):
    with pytest.raises(ValueError, match="no generation"):
        connect(published.settings, "../../etc/passwd")
    with pytest.raises(NothingPublishedError, match="never built"):
        connect(published.settings, "20001123T000000Z-nightly-00000000")


def test_snapshots_are_not_writable(published):
    assert (published.serving / "current.duckdb").stat().st_mode & 0o222 == 0

"""A home of an earlier layout is upgraded in place and goes on; one of a newer layout is refused by everyone."""

from __future__ import annotations

import json
import shutil

import pytest

from embeddings.__main__ import main as embed
from embeddings.home import HOME_FILE, SCHEMA_VERSION, HomeError
from tideline.__main__ import CHANGE_HOME, main
from tideline.run import load_run
from tideline.serving import connect, publish
from tideline.serving.manifest import list_manifests
from tideline.serving.pointer import SnapshotError
from tideline.serving.upgrade import open_home

LATER = {2: ("folded_batches",), 1: ("folded_batches", "accounting", "model")}
"""Fields that manifests of these versions lacked."""


def age(room, version):
    """Make the home one that a Tideline of this schema version wrote."""
    (room.settings.root / HOME_FILE).unlink(missing_ok=True)
    for file in (room.serving / "generations").glob("*.json"):
        values = json.loads(file.read_text())
        for name in LATER[version]:
            del values[name]
        file.write_text(json.dumps({**values, "schema_version": version}))


@pytest.mark.parametrize("version", [1, 2])
def test_an_earlier_home_goes_on_where_it_was(room, version):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1})
    publish(night, room.settings)
    age(room, version)
    # Readers need no upgrade, and none happens because of them.
    assert room.shown()["a"] == (1, night.generation)

    open_home(room.settings)

    told = [json.loads(file.read_text()) for file in (room.serving / "generations").glob("*.json")]
    assert [entry["schema_version"] for entry in told] == [SCHEMA_VERSION]
    assert json.loads((room.settings.root / HOME_FILE).read_text()) == {"schema_version": SCHEMA_VERSION}
    hour = room.make_run("hourly", room.at(1), {"a": 2}, base=night.run_id)
    publish(hour, room.settings)
    assert room.shown() == {"a": (2, hour.generation), "b": (1, night.generation)}
    assert [entry.generation for entry in list_manifests(room.settings.root)] == [night.generation, hour.generation]


def test_a_home_that_is_not_there_is_left_alone_unless_it_is_to_be_made(room):
    open_home(room.settings)
    assert not room.settings.root.exists()
    open_home(room.settings, create=True)
    assert (room.settings.root / HOME_FILE).exists()


def test_a_newer_home_is_refused_by_every_door(room, monkeypatch, capsys, tmp_path):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    open_home(room.settings)
    (room.settings.root / HOME_FILE).write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    before = sorted(path for path in room.settings.root.rglob("*"))
    refusal = f"schema version {SCHEMA_VERSION + 1}, this Tideline knows {SCHEMA_VERSION}"
    with pytest.raises(HomeError, match=refusal):
        connect(room.settings)
    with pytest.raises(HomeError, match=refusal):
        load_run(night.run_id, room.settings)
    monkeypatch.setenv("TIDELINE_HOME", str(room.settings.root))
    monkeypatch.setenv("TIDELINE_SOURCE", "canonical")
    given = {"why-changed": ["a"], "backup": [str(tmp_path / "backup")], "sql": ["select 1"]}
    for command in (*CHANGE_HOME, "sql"):
        assert main([command, *given.get(command, [])]) == 1, command
        assert refusal in capsys.readouterr().err
    assert embed(["collect", "--out", str(night.vectors)]) == 1
    assert refusal in capsys.readouterr().err
    assert sorted(path for path in room.settings.root.rglob("*")) == before


def test_a_newer_manifest_is_refused_too(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    (file,) = (room.serving / "generations").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(SnapshotError, match="schema version"):
        open_home(room.settings)
    shutil.rmtree(room.serving / "generations")

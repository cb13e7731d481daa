"""What is kept of the past, and what is not ours to delete."""

from __future__ import annotations

from tideline.serving import publish
from tideline.serving.manifest import list_manifests
from tideline.serving.retention import MARKER


def test_old_snapshots_and_run_folders_go_and_manifests_stay(make_room):
    room = make_room(keep_generations=2)
    nights = [room.make_run("nightly", room.at(24 * day), {"a": day + 1}) for day in range(6)]
    for night in nights:
        publish(night, room.settings)
    assert len(list(room.serving.glob("snap_*"))) == 3
    assert [night.path.exists() for night in nights] == [False, False, False, True, True, True]
    assert [entry.generation for entry in list_manifests(room.settings.root)] == [n.generation for n in nights]
    assert room.ask("select count(*) from run_history") == [(6,)]
    assert room.shown(nights[4].generation)["a"][0] == 5


def test_layers_and_bases_of_the_current_generation_keep_their_run_folders(make_room):
    room = make_room(keep_generations=2)
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    hours = [room.make_run("hourly", room.at(n), {f"user{n % 5}": n}, base=night.run_id) for n in range(1, 9)]
    for hour in hours:
        publish(hour, room.settings)
    assert night.path.exists()
    # The last five hours still have rows, so they are layers; the others are not, and are old.
    assert [hour.path.exists() for hour in hours] == [False] * 3 + [True] * 5


def test_runs_in_progress_and_their_bases_are_left_alone(make_room):
    room = make_room(keep_generations=2)
    base = room.make_run("nightly", room.at(0), {"a": 1})
    publish(base, room.settings)
    in_progress = room.make_run("hourly", room.at(1), {"a": 2}, base=base.run_id)
    opened = room.settings.root / "runs" / "hourly-20001123T090000Z-00000000"
    opened.mkdir()
    for day in range(1, 6):
        publish(room.make_run("nightly", room.at(24 * day), {"a": day}), room.settings)
    assert in_progress.path.exists() and base.path.exists() and opened.exists()


def test_the_folder_of_a_training_goes_once_it_has_ended(make_room):
    room = make_room(keep_generations=2)
    runs = room.settings.root / "runs"
    ended, in_progress = (runs / f"training-20001123T000000Z-0000000{n}" for n in range(2))
    for folder in (ended, in_progress):
        folder.mkdir(parents=True)
    (ended / MARKER).write_text("{}")
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    assert not ended.exists() and in_progress.exists()


def test_rerun_that_changed_nothing_does_not_leak_its_folder(room):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    again = room.make_run("nightly", room.at(0), {"a": 1}, token="again")
    publish(again, room.settings)
    assert again.path.exists()
    publish(room.make_run("hourly", room.at(1), {"a": 2}), room.settings)
    assert not again.path.exists() and night.path.exists()


def test_files_of_others_are_never_deleted(make_room):
    room = make_room(keep_generations=2)
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    theirs = [
        room.serving / "snap_mine.duckdb",
        room.serving / "notes.txt",
        room.serving / "generations" / "notes.json",
        room.settings.root / "runs" / "nightly-backup" / "data",
        room.settings.root / "runs" / "notes.txt",
    ]
    for file in theirs:
        file.parent.mkdir(exist_ok=True)
        file.write_text("not ours")
    for day in range(1, 6):
        publish(room.make_run("nightly", room.at(24 * day), {"a": day}), room.settings)
    assert all(file.read_text() == "not ours" for file in theirs)

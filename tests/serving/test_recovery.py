"""A pointer that was lost costs nothing that was committed, and what killed processes left is swept after a day."""

from __future__ import annotations

import os
import time

import pytest

from tideline.serving import publish
from tideline.serving.leftovers import sweep
from tideline.serving.pointer import NothingPublishedError


def test_an_hour_after_a_lost_pointer_keeps_the_night_and_the_hours_before(room):
    publish(room.make_run("nightly", room.at(0), dict.fromkeys("abcd", 1)), room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 2}), room.settings)
    (room.settings.root / "serving" / "current.duckdb").unlink()
    with pytest.raises(NothingPublishedError):
        room.shown()

    publish(room.make_run("hourly", room.at(2), {"b": 3}), room.settings)

    assert {user: score for user, (score, _) in room.shown().items()} == {"a": 2, "b": 3, "c": 1, "d": 1}


def test_only_what_was_begun_a_day_ago_and_never_got_its_name_is_swept(tmp_path):
    old = time.time() - 2 * 86_400
    serving, models = tmp_path / "serving", tmp_path / "models"
    (serving / "generations").mkdir(parents=True)
    (models / ".new-dead" / "version").mkdir(parents=True)
    (models / ".new-alive").mkdir()
    (models / "model-1").mkdir()
    for file in (".fence.11.part", "generations/.g.json.12.part", "fence", "generations/g.json"):
        (serving / file).write_text("x")
        os.utime(serving / file, (old, old))
    (serving / ".fence.13.part").write_text("x")
    for folder in (".new-dead", "model-1"):
        os.utime(models / folder, (old, old))

    assert sweep(tmp_path) == ["serving/.fence.11.part", "serving/generations/.g.json.12.part", "models/.new-dead"]
    assert sorted(path.name for path in models.iterdir()) == [".new-alive", "model-1"]
    assert (serving / ".fence.13.part").exists() and (serving / "generations" / "g.json").exists()

"""History does not grow with the square of its length, and nobody who asks it gets another answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from tideline.serving import publish
from tideline.serving.folding import fold_manifests, used_batches
from tideline.serving.manifest import list_manifests, read_manifest


def test_what_had_been_used_before_is_known_after_the_lists_are_gone(make_room):
    room = make_room(keep_generations=2)
    root = room.settings.root
    nights = [
        room.make_run("nightly", room.at(24 * day), {"a": day + 1}, batches=[f"b{n}" for n in range(day + 1)])
        for day in range(6)
    ]
    for night in nights:
        publish(night, room.settings)
    moments = [room.at(24 * day + 1) for day in range(-1, 7)]
    before = [used_batches(root, moment) for moment in moments]
    assert before[0] is None and before[2] == {"b0", "b1"}
    committed = list_manifests(root)

    folded = fold_manifests(room.settings, room.at(0))
    again = fold_manifests(room.settings, room.at(0))

    assert (folded.lists, folded.manifests, again.lists) == (3, 0, 0)
    assert [used_batches(root, moment) for moment in moments] == before
    first = read_manifest(nights[0].generation, root)
    assert first.batches == () and first.folded_batches == 1 and first.metrics == committed[0].metrics
    assert read_manifest(nights[5].generation, root).batches == nights[5].batches


def test_old_manifests_go_and_what_is_current_stays(make_room):
    room = make_room(keep_generations=2, keep_history_days=10)
    root = room.settings.root
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1}, batches=["b0"])
    publish(night, room.settings)
    hours = [
        room.make_run("hourly", room.at(n), {"a": n}, base=night.run_id, batches=["b0", f"b{n}"]) for n in (1, 2, 3, 4)
    ]
    for hour in hours:
        publish(hour, room.settings)
    before = used_batches(root, room.at(9))
    committed = max(entry.committed_at for entry in list_manifests(root))

    fold_manifests(room.settings, datetime.fromisoformat(committed) + timedelta(days=31))

    # The night is a layer of what is current, and of the last hours there are snapshots.
    assert {entry.generation for entry in list_manifests(root)} == {
        night.generation,
        *(h.generation for h in hours[1:]),
    }
    assert used_batches(root, room.at(9)) == before == {"b0", "b1", "b2", "b3", "b4"}
    assert room.shown()["a"][0] == 4
    publish(room.make_run("hourly", room.at(5), {"b": 5}, base=night.run_id), room.settings)
    assert {user: score for user, (score, _) in room.shown().items()} == {"a": 4, "b": 5}

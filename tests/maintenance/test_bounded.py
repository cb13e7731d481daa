"""What a run leaves on the disk does not grow with the number of runs before it."""

from __future__ import annotations

from tideline.serving import publish


def test_no_run_keeps_a_copy_of_the_history(room):
    runs = [room.make_run("nightly", room.at(24 * day), {"a": day + 1}) for day in range(3)]
    left = []
    for run in runs:
        before = {path.name for path in run.path.iterdir()}
        publish(run, room.settings)
        left.append({path.name for path in run.path.iterdir()} - before)
    assert left == [{"published.json", "publish.lock"}] * 3
    assert room.ask("select count(*) from run_history") == [(3,)]
    assert room.ask("select count(distinct generation) from quality_metrics") == [(3,)]

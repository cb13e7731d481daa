"""Real processes: a reader that loops while others publish, two publishers at once, publishers that are killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from tideline.serving import publish
from tideline.serving.manifest import list_manifests

READER = """
import json, sys, time
from pathlib import Path
from embeddings.settings import Settings
from tideline.serving import connect
settings = Settings(source="canonical", home=Path(sys.argv[1]), threads=1, memory_limit="1GB")
query = '''
select (select count(distinct generation) from nightly_recommendations),
       (select min(generation) from nightly_recommendations),
       (select min(generation) from popular_recommendations),
       (select generation from run_history where is_current and kind = 'nightly'),
       (select list(distinct generation order by generation) from hourly_recommendations),
       (select list(generation order by generation) from run_history where is_current and kind = 'hourly'),
       (select count(*) from recommendations) = 3 * (select count(distinct user_id) from recommendations),
       (select count(distinct user_id) from recommendations)
'''
seen, reads, bad = set(), 0, []
print("ready", flush=True)
while not Path(sys.argv[2]).exists():
    try:
        with connect(settings) as published:
            count, night, popular, told, hourly, hours, whole, users = published.execute(query).fetchone()
        good = count == 1 and night == popular == told and (hourly or []) == (hours or []) and whole and users == 4
        if not good:
            bad.append([count, night, popular, told, hourly, hours, whole, users])
        seen.add((night, tuple(hours or [])))
    except Exception as error:
        bad.append(repr(error))
    reads += 1
print(json.dumps({"reads": reads, "seen": len(seen), "bad": bad[:3]}))
"""

PUBLISHER = """
import json, sys
from pathlib import Path
from embeddings.settings import Settings
from tideline.run import load_run
from tideline.serving import publish
settings = Settings(source="canonical", home=Path(sys.argv[1]), threads=1, memory_limit="1GB")
runs = [load_run(run_id, settings) for run_id in sys.argv[2:]]
print("ready", flush=True)
sys.stdin.readline()
for run in runs:
    print(publish(run, settings)["fence"], flush=True)
"""


def start(script, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.fixture
def busy_room(make_room):
    room = make_room(keep_generations=2)
    publish(room.make_run("nightly", room.at(0), dict.fromkeys("abcd", 1)), room.settings)
    return room


def test_reader_never_fails_nor_sees_two_generations(busy_room, tmp_path):
    room = busy_room
    stop = tmp_path / "stop"
    reader = start(READER, room.settings.root, stop)
    ends, published, step = time.monotonic() + 7, 0, 0
    while time.monotonic() < ends:
        step += 1
        as_of = room.at(24 * (step // 4) + step % 4)
        if step % 4 == 0:
            run = room.make_run("nightly", as_of, dict.fromkeys("abcd", step))
        else:
            run = room.make_run("hourly", as_of, {"abcd"[step % 3]: step, "d": step})
        published += bool(publish(run, room.settings)["changed"])
    stop.touch()
    told = json.loads(reader.communicate(timeout=30)[0])
    assert told["bad"] == []
    assert told["reads"] > 20 and told["seen"] > 3, told
    assert published == step


def test_two_publishers_take_turns_and_lose_nothing(busy_room):
    room = busy_room
    hours = [room.make_run("hourly", room.at(1 + n), {f"user{n}": n + 1, "shared": n + 1}) for n in range(6)]
    first, second = (start(PUBLISHER, room.settings.root, *(h.run_id for h in hours[n::2])) for n in (0, 1))
    go(first), go(second)
    fences = [[int(line) for line in process.communicate(timeout=60)[0].split()] for process in (first, second)]
    assert all(len(numbers) == 3 and numbers == sorted(numbers) for numbers in fences)
    assert sorted(fences[0] + fences[1]) == list(range(2, 8))
    shown = room.shown()
    assert {f"user{n}": (n + 1, hours[n].generation) for n in range(6)}.items() <= shown.items()
    assert shown["shared"] == (6, hours[5].generation)
    by_fence = sorted(list_manifests(room.settings.root), key=lambda entry: entry.fence)
    times = [entry.committed_at for entry in by_fence]
    assert times == sorted(times) and len({entry.fence for entry in by_fence}) == 7


def test_two_attempts_of_one_run_publish_it_once(busy_room):
    room = busy_room
    night = room.make_run("nightly", room.at(24), dict.fromkeys("abcd", 2))
    attempts = [start(PUBLISHER, room.settings.root, night.run_id) for _ in range(2)]
    for attempt in attempts:
        go(attempt)
    assert [attempt.wait(timeout=60) for attempt in attempts] == [0, 0]
    assert len(list(room.serving.glob(f"snap_{night.generation}_*"))) == 1
    assert room.shown() == dict.fromkeys("abcd", (2, night.generation))


def test_killed_publishers_leave_readers_whole_and_a_rerun_repairs(busy_room):
    room = busy_room
    before = room.shown()
    interrupted = 0
    for attempt in range(10):
        night = room.make_run("nightly", room.at(24 * (attempt + 1)), dict.fromkeys("abcd", attempt + 2))
        hour = room.make_run("hourly", room.at(24 * (attempt + 1) + 1), {"a": 100 + attempt})
        after_night = dict.fromkeys("abcd", (attempt + 2, night.generation))
        after_hour = {**after_night, "a": (100 + attempt, hour.generation)}
        publisher = start(PUBLISHER, room.settings.root, night.run_id, hour.run_id)
        go(publisher)
        time.sleep(0.06 * attempt)
        publisher.send_signal(signal.SIGKILL)
        published = publisher.communicate()[0].split()
        interrupted += len(published) < 2
        # A print may be lost to the kill, a commit that was printed may not.
        assert room.shown() in [before, after_night, after_hour][len(published) :]
        publish(night, room.settings)
        publish(hour, room.settings)
        assert room.shown() == after_hour
        before = after_hour
    assert interrupted >= 4
    names = r"current\.duckdb|fence|lock|generations|shown|snap_.*\.duckdb|\.fence\.\d+\.part|\.current\.duckdb\.part"
    assert all(re.fullmatch(names, path.name) for path in room.serving.iterdir())
    assert not list(room.settings.root.glob("runs/*/snapshot*"))

"""A bit that turned over on the disk, in every kind of file that readers or later runs depend on."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from tideline.faults.ground import END, Ground, turn_over, walked
from tideline.faults.kills import differences, name_seen
from tideline.faults.look import see_published
from tideline.faults.outcome import Try
from tideline.faults.walk import run_id
from tideline.serving.pointer import current_snapshot, serving_folder
from tideline.serving.scrub import scrub

BEFORE, STORED, SNAPSHOT = "damaged before publish", "damaged in the store", "damaged snapshot"


class Damage(NamedTuple):
    """A kind of file, and when it is damaged."""

    what: str
    pattern: str
    """Below the home, `{run}` the night's own run; one of the files that match is chosen."""
    stage: str
    """Before this stage of the night."""
    again: str
    """First stage of the rerun that mends it; for a batch its file comes back from a backup first."""
    times: int


FILES = (
    Damage("a batch of the lake", "lake/batches/*/events.parquet", "build_behaviour", "build_behaviour", 3),
    Damage("a table of the run", "runs/{run}/tables/user_events.parquet", "rank", "open_run", 1),
    Damage("a table of the run", "runs/{run}/tables/long_window_behaviour.parquet", "plan_texts", "open_run", 1),
    Damage("vectors of the run", "runs/{run}/vectors/*_vectors.parquet", "rank", "open_run", 2),
    Damage("ranked rows of the run", "runs/{run}/scored/*.parquet", "build_marts", "rank", 2),
)
TABLES = {"user_vectors": 3, "item_vectors": 3, "text_vectors": 1}
"""Lance tables, and how often each is damaged: a damaged ledger costs a whole run to mend."""
FLIPS_A_SNAPSHOT = 10


def plan(_: Any) -> Iterator[Try]:
    """Yield the tries. Places are drawn once and stay the same from call to call."""
    for number, damage in enumerate(FILES):
        for time in range(damage.times):
            attempt = partial(_before_publish, damage=damage, seed=10 * number + time)
            yield Try(BEFORE, f"a bit of {damage.what}", f"night, before {damage.stage}", attempt)
    for name, times in TABLES.items():
        for seed in range(times):
            yield Try(
                STORED, f"a bit of the Lance table `{name}`", "after a night", partial(_stored, name=name, seed=seed)
            )
    for seed in range(FLIPS_A_SNAPSHOT):
        yield Try(SNAPSHOT, "a bit of the current snapshot", "after an hour", partial(_snapshot, seed=seed))


def _before_publish(ground: Ground, damage: Damage, seed: int) -> tuple[str, list[str]]:
    """The run must end before it publishes; once the damage is mended, it ends as if nothing had been."""
    reference = ground.references["night"]
    ground.restore("night", damage.stage)
    file = _turn(ground.home, damage.pattern.format(run=run_id("night")), seed)
    done = ground.start("night", "--first", damage.stage).wait()
    if not done.status:
        return "published", [f"{file.name} was damaged, and the run was published without a word"]
    named = "DamagedError" in done.err or "changed on the disk" in done.err
    if damage.what.startswith("a batch"):
        whole = ground.folder / "pictures" / "night" / damage.stage / file.relative_to(ground.home)
        shutil.copy2(whole, file)
    answer = walked(ground.start("night", "--first", damage.again, "--look"))
    seen, broken = name_seen(reference, answer["before"])
    how = "named before publish" if named else "a stage could not read it"
    return f"{seen}: {how}", broken + differences(reference.after, answer["after"])


def _stored(ground: Ground, name: str, seed: int) -> tuple[str, list[str]]:
    """The scrub must name the file and nothing else; its remedy must bring the vectors back."""
    reference = ground.references["night"]
    ground.restore("night", END)
    if findings := scrub(ground.settings).findings:
        return "false alarm", [f"the scrub found {findings} where nothing was damaged"]
    file = _turn(ground.home, f"vectors/*/{name}.lance/data/*.lance", seed)
    found = [finding.file for finding in scrub(ground.settings).findings]
    if found != [file.relative_to(ground.home).as_posix()]:
        return "not found", [f"{file.name} was damaged, the scrub found {found}"]
    shutil.rmtree(file.parents[1])
    first = "publish" if name != "text_vectors" else "open_run"
    answer = walked(ground.start("night", "--first", first))
    broken = differences(reference.after, answer["after"])
    return "found by the scrub, made again", broken


def _snapshot(ground: Ground, seed: int) -> tuple[str, list[str]]:
    """Readers must get an error or the same rows; whatever they get an error from, the scrub must find."""
    reference = ground.references["hour"]
    ground.restore("hour", END)
    current = current_snapshot(serving_folder(ground.home))
    assert current is not None
    chance = random.Random(seed)  # noqa: S311  not for secrets
    turn_over(current.path, chance.randrange(current.path.stat().st_size))
    broken = []
    try:
        refused = see_published(ground.settings) != reference.after["published"]
        if refused:
            return "served", ["other rows were served without a word"]
    except (duckdb.Error, OSError):
        refused = True
    found = [finding.file for finding in scrub(ground.settings).findings]
    if refused and found != [current.path.relative_to(ground.home).as_posix()]:
        broken.append(f"readers get an error, and the scrub found {found}")
    if found:
        current.path.unlink()
        answer = walked(ground.start("hour", "--first", "publish"))
        broken += differences(reference.after, answer["after"])
    return ("an error, found by the scrub" if found else "the same rows: nothing is kept at that place"), broken


def _turn(home: Path, pattern: str, seed: int) -> Path:
    """Turn over one bit of one of the files of a pattern."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    file = chance.choice(sorted(home.glob(pattern)))
    turn_over(file, chance.randrange(file.stat().st_size))
    return file

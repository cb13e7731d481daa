"""`make bench-hourly`: what an hour costs, by how many users there are and by how many of them were active.

The homes are written directly, grown from a night over few users. An hour runs all stages, as the tasks of its DAG do,
in one process that has just started: libraries are imported by the stages that need them, and counted.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from embeddings.settings import Settings
from tideline.benches.grown_home import grow
from tideline.benches.hourly_shop import land_hour
from tideline.benches.small_home import EACH, make_small_home, settings_at, time_in
from tideline.benches.timed_run import Timed
from tideline.report import print_table, row, write_report
from tideline.serving.pointer import current_snapshot, list_snapshots, serving_folder


def bench_hourly(
    settings: Settings, totals: Sequence[int], actives: Sequence[int], items: int, seed: int, hours: int
) -> None:
    """Print and report an hour's seconds, stages, memory and bytes for each number of users and of active ones.

    Parameters
    ----------
    totals
        Numbers of users in all, ascending multiples of `seed`; for each, an hour with the middle one of `actives`.
    actives
        Numbers of active users; hours with each of them follow at the middle one of `totals`.
    items
        Items of the catalogue, the same for all.
    seed
        Users of the small home that all others are grown from.
    hours
        Hours of each size; the one in the middle by seconds counts.

    Raises
    ------
    ValueError
        If the numbers are not such.
    """
    if (
        not totals
        or not actives
        or min(items, seed, hours) < 1
        or any(total < seed or total % seed for total in totals)
    ):
        raise ValueError(f"users must be multiples of {seed}, got {list(totals)}; items and active users at least 1")
    usual, constant = sorted(actives)[len(actives) // 2], sorted(totals)[len(totals) // 2]
    if not min(actives) >= 1 or max(actives) > constant or usual > min(totals):
        raise ValueError(f"active users must be at least 1 and at most {constant}, the middle one {min(totals)}")
    settings.root.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[int, int], Timed] = {}
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
        print(f"A night over {seed:,} users and {items:,} items ...", flush=True)
        small = make_small_home(settings, Path(scratch) / "small", seed, items)
        for total in sorted(totals):
            home = settings_at(settings, Path(scratch) / f"home-{total}")
            print(f"Growing it to {total:,} users ...", flush=True)
            grow(small, home, seed, total // seed)
            numbers = iter(range(1, 24))
            for active in dict.fromkeys((usual, *(sorted(actives) if total == constant else ()))):
                print(f"{hours} hours with {active:,} active users of {total:,} ...", flush=True)
                runs = [_hour(home, next(numbers), total, items, active) for _ in range(hours)]
                middle = statistics.median_low(run.seconds for run in runs)
                found[active, total] = next(run for run in runs if run.seconds == middle)
            shutil.rmtree(home.root)
    figures = _figures(found, usual)
    print_table(f"An hour: {items:,} items, {EACH} events a user", figures)
    print(f"Written: {write_report('bench-hourly', figures, settings)}")


def _hour(home: Settings, number: int, total: int, items: int, active: int) -> Timed:
    timed = time_in(home, "hourly", land_hour(home.landing_path, number, total, items, active))
    if timed.users != active:
        raise RuntimeError(f"{timed.users} users were published, {active} were active")
    serving = serving_folder(home.root)
    current = current_snapshot(serving)
    for snapshot in list_snapshots(serving):  # at a million users each takes 4 GB, and no hour reads an old one
        if snapshot != current:
            snapshot.path.unlink()
    return timed


def _figures(found: dict[tuple[int, int], Timed], usual: int) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = []
    for (active, total), timed in found.items():
        subject = f"{active:,} of {total:,}"
        compared = compared_with(found, (active, total), usual)
        other, before = (f"{compared[0]:,} of {compared[1]:,}", found[compared]) if compared else (None, None)
        measures = {
            "seconds": (round(timed.seconds, 3), before.seconds if before else None, "s"),
            "cpu_seconds": (round(timed.cpu, 3), before.cpu if before else None, "s"),
            "peak_memory": (round(timed.peak, 1), before.peak if before else None, "MiB"),
            "bytes_copied": (timed.copied, before.copied if before else None, "B"),
            "bytes_computed": (timed.computed, before.computed if before else None, "B"),
        }
        figures += [row(name, subject, value, unit, other, old) for name, (value, old, unit) in measures.items()]
        figures += [
            row(
                "stage_seconds",
                f"{subject}: {stage}",
                round(seconds, 3),
                "s",
                other,
                before.stages[stage] if before else None,
            )
            for stage, seconds in timed.stages.items()
        ]
    return figures


def compared_with(found: Iterable[tuple[int, int]], size: tuple[int, int], usual: int) -> tuple[int, int] | None:
    """Return the next smaller size of `found`, as (active users, users in all); None for the smallest.

    With the `usual` number of active users that is one of fewer users in all, else one of fewer active ones.
    """
    active, total = size
    if active == usual:
        fewer = [other for other in found if other[0] == active and other[1] < total]
    else:
        fewer = [other for other in found if other[1] == total and other[0] < active]
    return max(fewer, default=None)

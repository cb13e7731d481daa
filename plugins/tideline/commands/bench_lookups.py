"""`make bench-lookups`: what readers wait for, by SQL on the published tables, alone and while hours are published.

A lookup reads the rows of one user; a scan reads all rows and groups them by category. Readers are as `serving.readers`
makes them: a connection opened for each query, as is meant, or one kept open. They ask one at a time, in a process of
their own; another process commits hour after hour meanwhile, which it has not computed but copied from the night.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import duckdb

from embeddings.settings import Settings
from tideline.benches.grown_home import grow
from tideline.benches.lookups import Opened, Query, Read, publishing, read_for
from tideline.benches.small_home import environment_of, make_small_home, settings_at
from tideline.report import print_table, row, write_report
from tideline.serving.pointer import current_snapshot, serving_folder

SHARES = {"p50": 0.5, "p99": 0.99}
WHILE = ", while hours are published"


def bench_lookups(
    settings: Settings, totals: Sequence[int], active: int, items: int, seed: int, seconds: float
) -> None:
    """Print and report p50 and p99 of lookups and scans for each number of users, and how often was asked.

    Parameters
    ----------
    totals
        Numbers of users, multiples of `seed`.
    active
        Users of each hour that is published.
    items
        Items of the catalogue, the same for all.
    seed
        Users of the small home that all others are grown from.
    seconds
        How long each reader asks.

    Raises
    ------
    ValueError
        If the numbers are not such.
    RuntimeError
        If a reader sees less, or more, than one whole generation.
    """
    if not totals or min(items, seed, active) < 1 or any(total < seed or total % seed for total in totals):
        raise ValueError(f"users must be multiples of {seed}, got {list(totals)}; items and active users at least 1")
    if active > min(totals) or seconds <= 0:
        raise ValueError(f"at most {min(totals)} users can be active, and readers need some seconds")
    settings.root.mkdir(parents=True, exist_ok=True)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
        print(f"A night over {seed:,} users and {items:,} items ...", flush=True)
        small = make_small_home(settings, Path(scratch) / "small", seed, items)
        for total in sorted(totals):
            home = settings_at(settings, Path(scratch) / f"home-{total}")
            print(f"Growing it to {total:,} users ...", flush=True)
            grow(small, home, seed, total // seed)
            figures += _measure(home, total, active, seconds)
            shutil.rmtree(home.root)
    print_table(f"Reading {items:,} items and their rows by SQL", figures)
    print(f"Written: {write_report('bench-lookups', figures, settings)}")


def _measure(home: Settings, total: int, active: int, seconds: float) -> list[dict[str, Any]]:
    """Return the figures of one home: of readers alone first, then of readers beside a publisher."""
    environment = environment_of(home)
    top_k, size = _shape(home, total)
    figures = [row("snapshot", f"{total:,} users", size, "B")]
    alone = _read_all(environment, total, top_k, seconds)
    with publishing(home, environment, total, active) as taken:
        beside = _read_all(environment, total, top_k, seconds)
    for name, found in (("", alone), (WHILE, beside)):
        for (query, opened), read in found.items():
            what = f"{query}, {opened}, {total:,} users"
            for metric, share in SHARES.items():
                before = alone[query, opened].percentile(share) * 1e3 if name else None
                value = round(read.percentile(share) * 1e3, 2)
                figures.append(row(metric, what + name, value, "ms", what if name else None, before))
            figures.append(row("queries", what + name, len(read.seconds), "queries"))
    figures.append(row("publications", f"{total:,} users", len(taken), "hours"))
    middle = sorted(taken)[len(taken) // 2]
    figures.append(row("seconds", f"publication in the middle, {total:,} users", round(middle, 3), "s"))
    return figures


def _read_all(
    environment: Mapping[str, str], total: int, top_k: int, seconds: float
) -> dict[tuple[Query, Opened], Read]:
    found = {}
    for query in get_args(Query):
        for opened in get_args(Opened):
            with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
                found[query, opened] = pool.submit(read_for, environment, query, opened, total, top_k, seconds).result()
    return found


def _shape(home: Settings, total: int) -> tuple[int, int]:
    """Return the rows of a user, and the bytes of the snapshot."""
    current = current_snapshot(serving_folder(home.root))
    assert current is not None
    with duckdb.connect(str(current.path), read_only=True) as connection:
        [(rows,)] = connection.execute("select count(*) from nightly_recommendations").fetchall()
    if rows % total:
        raise RuntimeError(f"{rows} rows of {total} users: somebody lacks some")
    return rows // total, current.path.stat().st_size

"""Readers of a grown home, each in a process of its own, and a publisher who commits hour after hour meanwhile."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from typing import Any, Literal, NamedTuple

import duckdb

from embeddings.settings import Settings, load_settings
from tideline.benches.hourly_shop import PREFIX
from tideline.benches.published_hours import make_hour
from tideline.serving import publish
from tideline.serving.readers import connect
from tideline.serving.snapshot import copy_ahead

Query = Literal["lookup", "scan"]
Opened = Literal["opened for each", "kept open"]
QUERIES: Mapping[Query, str] = {
    "lookup": "from recommendations where user_id = $user order by rank",
    "scan": "select category, count(*), avg(score) from recommendations join items using (item_id) group by category",
}


class Read(NamedTuple):
    """What a reader saw."""

    seconds: list[float]
    """Of each query, ascending."""
    generations: int
    """Different generations whose rows were seen."""

    def percentile(self, share: float) -> float:
        """Return the seconds that this share of the queries did not exceed."""
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def read_for(
    environment: Mapping[str, str], query: Query, opened: Opened, users: int, top_k: int, seconds: float
) -> Read:
    """Ask one query again and again, lookups for users by chance. Call it in a fresh process.

    Raises
    ------
    RuntimeError
        If a user's rows are not `top_k` of one generation, or a scan does not count all rows.
    """
    os.environ.update(environment)
    settings, chance = load_settings(), random.Random(query + opened)  # noqa: S311  nothing secret
    taken: list[float] = []
    seen: set[str] = set()
    kept = connect(settings) if opened == "kept open" else None
    ends = time.perf_counter() + seconds
    while not taken or time.perf_counter() < ends:
        user = f"{PREFIX}{chance.randrange(users):07}"
        begun = time.perf_counter()
        rows = _ask(kept, query, user) if kept else _open_and_ask(settings, query, user)
        taken.append(time.perf_counter() - begun)
        if query == "lookup":
            seen |= (shown := {row[-1] for row in rows})
            if len(rows) != top_k or len(shown) != 1:
                raise RuntimeError(f"{user} has {len(rows)} rows of {len(shown)} generations, not {top_k} of one")
        elif (counted := sum(row[1] for row in rows)) != users * top_k:
            raise RuntimeError(f"{counted} rows were scanned, there are {users * top_k}")
    # The first query also imports and reads what nobody has read yet.
    return Read(sorted(taken[1:] or taken), len(seen))


@contextmanager
def publishing(settings: Settings, environment: Mapping[str, str], users: int, active: int) -> Iterator[list[float]]:
    """Publish hour after hour in another process until the block ends; then the list has the seconds of each."""
    context = get_context("spawn")
    over, told = context.Event(), context.SimpleQueue()
    first = len(list((settings.root / "serving" / "generations").glob("*-hourly-*.json"))) + 1
    process = context.Process(target=_publish, args=(dict(environment), users, active, first, over, told))
    process.start()
    taken: list[float] = []
    try:
        taken.append(told.get())  # the first is committed before anybody reads
        yield taken
    finally:
        over.set()
        while (spent := told.get()) is not None:
            taken.append(spent)
        process.join()


def _publish(
    environment: dict[str, str], users: int, active: int, first: int, over: Event, told: SimpleQueue[float | None]
) -> None:
    os.environ.update(environment)
    settings, number = load_settings(), first
    try:
        while not over.is_set():
            run = make_hour(settings, number, users, active)
            begun = time.perf_counter()
            copy_ahead(run)
            publish(run, settings)
            told.put(time.perf_counter() - begun)
            number += 1
    finally:
        told.put(None)


def _ask(connection: duckdb.DuckDBPyConnection, query: Query, user: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(
        QUERIES[query], {"user": user} if query == "lookup" else None
    ).fetchall()
    return rows


def _open_and_ask(settings: Settings, query: Query, user: str) -> list[tuple[Any, ...]]:
    with connect(settings) as connection:
        return _ask(connection, query, user)

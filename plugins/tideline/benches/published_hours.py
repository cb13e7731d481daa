"""Hours of a grown home that are ready to be published, written directly from the rows that are published already."""

from __future__ import annotations

from datetime import timedelta

import duckdb

from embeddings.settings import Settings
from tideline.benches.hourly_shop import AS_OF, PREFIX
from tideline.benches.simulated_runs import OTHERS
from tideline.run import Run, name_run
from tideline.serving.pointer import current_snapshot, serving_folder
from tideline.serving.tables import ORDER, attach
from tideline.window import window_ending

DAY = 24
"""Hours after which the same users are active again."""


def make_hour(settings: Settings, number: int, users: int, active: int) -> Run:
    """Write the run of the hour `number` (from 1): `active` of `users` users have their nightly rows with other scores.

    It has no vectors, and no folder of another run is read.
    """
    window = window_ending("hourly", AS_OF + timedelta(hours=number))
    run = Run(
        run_id=name_run(window, "bench"),
        window=window,
        root=settings.root,
        source=settings.source,
        generation=f"{window.as_of:%Y%m%dT%H%M%SZ}-hourly-{number:08x}",
        model_version="bench",
    )
    run.save()
    current = current_snapshot(serving_folder(settings.root))
    assert current is not None
    step = users // active
    names = [f"{PREFIX}{place * step + number % DAY % step:07}" for place in range(active)]
    given = {"users": names, "as_of": window.as_of.replace(tzinfo=None), "generation": run.generation}
    own = "$as_of as as_of, $generation as generation"
    with duckdb.connect(str(run.warehouse), config={"threads": settings.threads}) as connection:
        attach(connection, current.path, "present", read_only=True)
        for table in ORDER:
            connection.execute(f"create table {table} as from present.{table} where false")
        for name in ("run_accounting", "click_through"):
            connection.execute(f"create table {name} ({OTHERS[name]})")
        connection.execute("insert into run_accounting values (0, 0, 0, 0, 0, 0, 0, 0, 0)")
        mine = "where user_id in (from unnest($users::varchar[]))"
        connection.execute(
            f"insert into hourly_recommendations select * replace (score + 1 as score, {own}) "
            f"from present.nightly_recommendations {mine}",
            given,
        )
        connection.execute(
            f"insert into user_interests select * replace ({own}) from present.user_interests {mine}", given
        )
    return run

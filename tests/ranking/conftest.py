"""How the tests of the ranking make a run, a trained version, and its ranked rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ranking.worlds import World, random_world, write_run

from embeddings.settings import Settings
from tideline.models.store import save_version
from tideline.ranking import rank
from tideline.ranking.inputs import RANKER
from tideline.ranking.learned import Plan, Trained, save
from tideline.ranking.learned.from_run import load_past
from tideline.ranking.learned.lists import lists_at
from tideline.ranking.learned.shift import measure_shift
from tideline.ranking.learned.training import _refit
from tideline.ranking.learned.untrained import untrained
from tideline.run import Run

PLAN = Plan(rounds=20, threads=1)


def fit_small(world: World, root: Path, kind: str) -> Trained:
    """Learn `blend`, or trees, from what the users of a world did in their last week."""
    run = write_run(root, world)
    past = load_past(run.tables, run.vectors, run.window.as_of).past
    shift = measure_shift(past)
    models = {
        mode: _refit(kind, made.names, made.with_hits(), 20, PLAN, shift)[0]
        for mode, made in lists_at(past, 7.0, 7.0, PLAN.depth, 1000, 1).items()
    }
    return replace(untrained(PLAN), models=models)


def store_trained(run: Run, trained: Trained) -> Run:
    """Store what was learned as a version of the run's home, and pin it."""

    def write(folder: Path) -> dict[str, Any]:
        save(trained, folder / RANKER)
        return {"trained_until": "2020-05-01"}

    return replace(run, model=save_version(run.root, write).name)


@pytest.fixture(scope="session", params=["untrained", "blend", "trees"])
def ranker(request: pytest.FixtureRequest) -> str:
    """What ranks: the fixed blend of a run without a trained version, a trained blend, or trees beside a blend."""
    return str(request.param)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained | None]:
    """Return a function from the name of a `ranker` to what it learned, once."""

    @cache
    def by_name(name: str) -> Trained | None:
        winner = {"untrained": "", "trees": "trees + 0.5 blend", "trees alone": "trees"}.get(name, name)
        return fit_small(random_world(99, users=90), tmp_path_factory.mktemp("training"), winner) if winner else None

    return by_name


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory, trained: Callable[[str], Trained | None]) -> Callable[..., Run]:
    """Return a function that writes a run's inputs, and the version it has pinned; an hour's beside its base's."""

    def made(world: World, ranker: str | Trained = "untrained", base: Run | None = None, **changes: Any) -> Run:
        if base:
            return write_run(base.root, world, "hourly", base=base.run_id, model=base.model, **changes)
        run = write_run(tmp_path_factory.mktemp("ranking"), world, **changes)
        learned = trained(ranker) if isinstance(ranker, str) else ranker
        return store_trained(run, learned) if learned else run

    return made


@pytest.fixture(scope="session")
def ranked_rows() -> Callable[..., list[dict[str, Any]]]:
    """Return a function that ranks a run and reads its rows back, in the order they were written."""

    def read(run: Run, user_block: int = 7) -> list[dict[str, Any]]:
        rank(run, Settings(source="canonical", home=run.root, threads=2, user_block=user_block))
        with duckdb.connect() as connection:
            files = [str(file) for file in sorted(run.scored.glob("*.parquet"))]
            result = connection.execute("select * from read_parquet($1)", [files])
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    return read

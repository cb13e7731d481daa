"""Rules hold whatever a candidate source proposes."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from tideline.ranking.block import load_block, load_users
from tideline.ranking.catalogue import load_catalogue
from tideline.ranking.plan import load_plan
from tideline.ranking.rules import keep


@pytest.mark.parametrize("repeats", [True, False])
def test_seen_and_unavailable_pairs_are_dropped(repeats, new_world, make_run):
    world = new_world(
        events=[("e1", "ann", "b", "view", 400), ("e2", "bob", "a", "view", 1)],
        items=["a", "b", "c"],
        unavailable=frozenset("c"),
        repeats_allowed=repeats,
    )
    run = make_run(world)
    with duckdb.connect() as connection:
        plan, catalogue = load_plan(connection, run, threads=1), load_catalogue(connection, run)
        load_users(connection, run)
        block = load_block(connection, run, plan, catalogue, 0, 10)
    user, item = np.repeat(np.arange(2), 3), np.tile(np.arange(3), 2)
    seen = [False, True, False, True, False, False]
    gone = [False, False, True] * 2
    wanted = [not g and (repeats or not s) for s, g in zip(seen, gone, strict=True)]
    assert keep(block, catalogue, user, item).tolist() == wanted

"""What the events of a user contribute, against plain loops over the world that the run was made of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ranking.worlds import AS_OF, World, fuse_means, random_world, rank_by, window_means

from tideline.ranking.because import CITED, LEAST_COSINE, LINEAR_PARTS, Windows, contributions
from tideline.ranking.events import load_events, load_items
from tideline.ranking.inputs import load_inputs
from tideline.ranking.learned.sources.history import HALF_LIFE
from tideline.ranking.stage import rank_block


def features(world, user, target):
    """Return {part: {event: what it adds to the feature}} of all the user's events, in plain loops."""
    found = {part: {} for part in LINEAR_PARTS}
    mine = sorted((event for event in world.events if event[1] == user), key=lambda event: (-event[4], event[0]))
    means = window_means(world, user)
    gate, fused = fuse_means(world, {name: mean for name, (_, mean) in means.items()})
    if target in world.vectors and fused is not None:
        vector = np.asarray(world.vectors[target], np.float64)
        for name, weight in (("long", gate), ("short", 1 - gate)):
            shares, mean = means[name]
            for event, share in shares.items():
                found[name][event] = float(share @ vector) / np.linalg.norm(mean)
                found["fused"][event] = found[name][event] * weight / np.linalg.norm(fused)
    users_of = defaultdict(set)
    for _, owner, item, _, _ in world.events:
        users_of[item].add(owner)
    last = {item: event for event, _, item, _, _ in mine if item is not None}
    for event, _, item, _, age in mine:
        if item == target:
            found["own_history"][event] = 0.5 ** (age / HALF_LIFE)
        if item is not None and last[item] == event:
            both = len(users_of[item] & users_of[target])
            found["co_occurrence"][event] = both / np.sqrt(len(users_of[item]) * max(len(users_of[target]), 1))
    return found


def divided(shares, part, name):
    """Scale what events add to a feature so that it sums to the part; nothing where the feature is about 0."""
    total = sum(shares.values())
    least = LEAST_COSINE if name in ("long", "short", "fused") else 0.0
    return {event: part * share / total for event, share in shares.items()} if total > least else {}


def rank_all(run):
    """Rank a run as one block; return its inputs, its events, its rows, and a function for one user's contributions."""
    inputs = load_inputs(run)
    users = len(inputs.user_id)
    with duckdb.connect() as connection:
        load_items(connection, inputs)
        events = load_events(connection, run, inputs, 0, users)
    listed = rank_block(inputs, inputs.block(0, users), events, 0, users)
    table = pq.read_table(run.vectors / "user_vectors.parquet")
    windows = Windows(
        **{
            name: table[name].to_numpy().astype(np.float64)
            for name in ("gate", "long_norm", "short_norm", "fused_norm")
        }
    )
    linear = np.stack([listed.parts.get(name, np.zeros(listed.user.size)) for name in LINEAR_PARTS], axis=1)
    likeness = inputs.knowledge.lessons["item_knn"]["likeness"]

    def of_user(number):
        rows = np.flatnonzero(listed.user == number)
        own = slice(events.starts[number], events.starts[number + 1])
        values, place, part = contributions(
            events, windows, inputs.past.vectors, likeness, number, own, listed.item[rows], linear[rows]
        )
        return rows, values, place, part

    return inputs, events, listed, of_user


EVERY_PART = rank_by("text_long.share", "text_short.share", "text_fused.share", "own.share", "item_knn.share")


@pytest.mark.parametrize(
    "ranker", [EVERY_PART, "untrained", "blend", "trees"], ids=["every part", "untrained", "blend", "trees"]
)
@pytest.mark.parametrize(("repeats", "gate"), [(False, 0.5), (True, 0.9)])
def test_contributions_are_those_of_plain_loops_and_sum_to_their_parts(repeats, gate, ranker, make_run):
    world = random_world(11, users=15, items=40, repeats_allowed=repeats, top_k=20, gate=gate)
    inputs, events, listed, of_user = rank_all(make_run(world, ranker))
    summed = defaultdict(int)
    for number, user in enumerate(inputs.user_id.to_pylist()):
        rows, values, place, part = of_user(number)
        names = events.event_id.take(pa.array(place)).to_pylist()
        for row, line in zip(rows, values, strict=True):
            expected = features(world, user, inputs.catalogue.item_id[listed.item[row]].as_py())
            for index, name in enumerate(LINEAR_PARTS):
                value = float(listed.parts[name][row]) if name in listed.parts else 0.0
                wanted = divided(expected[name], value, name)
                found = {names[column]: line[column] for column in np.flatnonzero(part == index)}
                assert len(found) == (part == index).sum(), "an event supports a part once"
                assert {k: v for k, v in found.items() if v} == pytest.approx(
                    {k: v for k, v in wanted.items() if v}, abs=1e-4 * max(abs(value), 1e-9)
                )
                if wanted:
                    assert sum(found.values()) == pytest.approx(value, abs=1e-9)
                    summed[name] += value != 0
            # The cited events are the largest of all.
            cited = np.abs(listed.cited.contribution[row])
            largest = np.sort(np.abs(line))[::-1][:CITED]
            np.testing.assert_allclose(cited[: largest.size], largest)
    # A test on parts that are all zero would show nothing.
    assert summed["co_occurrence"]
    if ranker is EVERY_PART:
        assert [name for name in LINEAR_PARTS if summed[name]] == [
            name for name in LINEAR_PARTS if repeats or name != "own_history"
        ]


def test_a_history_of_many_years_is_cited(make_run, ranked_rows):
    events = [("e1", "ann", "tea", "purchase", 3000.0), ("e2", "ann", "tea", "purchase", 3060.0)]
    run = make_run(World(events, ["tea", "cup"], repeats_allowed=True), rank_by("own.share"))
    row = ranked_rows(run)[0]
    assert row["item_id"] == "tea"
    assert [(cited["event_id"], cited["part"]) for cited in row["because"]] == [
        ("e1", "own_history"),
        ("e2", "own_history"),
    ]
    first, second = (cited["contribution"] for cited in row["because"])
    assert first == pytest.approx(4 * second)


def test_events_that_the_run_may_not_know_are_never_cited(ranker, make_run, ranked_rows):
    """The tables hold none; if they did, they would change no row."""
    world = random_world(5, users=12, items=30, repeats_allowed=True, top_k=10)
    later = [
        (f"x{number}", user, item, "purchase", 0.0 - number)
        for number, (user, item) in enumerate([("u0000", "i001"), ("u0001", "i002"), ("u0002", "i001")])
    ]
    known, more = make_run(world, ranker), make_run(replace(world, events=[*world.events, *later]), ranker)
    for file in ("long_window_behaviour", "short_window_behaviour"):
        (more.tables / f"{file}.parquet").write_bytes((known.tables / f"{file}.parquet").read_bytes())
    (more.vectors / "user_vectors.parquet").write_bytes((known.vectors / "user_vectors.parquet").read_bytes())
    rows = ranked_rows(more)
    assert rows == ranked_rows(known)
    assert all(cited["event_at"] < AS_OF for row in rows for cited in row["because"])

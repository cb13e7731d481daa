"""Contributions of all of a user's events sum to the parts, with user vectors made by the embedding room itself."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from embeddings.model import describe_model
from embeddings.settings import Settings
from embeddings.vector_files import to_column, vector_schema, writing
from embeddings.windows import interest_vectors
from tideline.ranking.because import contributions, event_coefficients
from tideline.ranking.block import load_block, load_users
from tideline.ranking.candidates import propose_all
from tideline.ranking.catalogue import load_catalogue
from tideline.ranking.events import LINEAR_PARTS
from tideline.ranking.plan import load_plan
from tideline.ranking.ranker import PARTS
from tideline.ranking.stage import rank_block


def rewrite_vectors(run, world, settings):
    """Write random vectors of the model's dimension over those of the world, then the user vectors from them."""
    model, random = describe_model(settings), np.random.default_rng(1)
    for name, column, keys in (("item", "item_id", world.vectors), ("event", "event_id", world.texts)):
        vectors = random.normal(size=(len(keys), model.dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        schema = vector_schema(column, model.dimension, model.model_id)
        with writing(run.vectors / f"{name}_vectors.parquet", schema) as writer:
            writer.write_table(pa.table([pa.array(sorted(keys)), to_column(vectors)], schema=schema))
    interest_vectors(run.tables, run.vectors, datetime(2020, 6, 1, tzinfo=UTC), settings)


@pytest.mark.parametrize(("repeats", "gate"), [(False, 0.5), (True, 0.5), (True, 0.9), (True, 0.0), (True, 1.0)])
def test_contributions_sum_to_their_parts(repeats, gate, new_random_world, make_run):
    world = new_random_world(11, users=40, items=80, repeats_allowed=repeats, top_k=20)
    run = make_run(world)
    rewrite_vectors(run, world, Settings(source="canonical", home=run.root, fusion_gate=gate))
    supported = dict.fromkeys(LINEAR_PARTS, 0)
    with duckdb.connect() as connection:
        plan, catalogue = load_plan(connection, run, threads=1), load_catalogue(connection, run)
        load_users(connection, run)
        block = load_block(connection, run, plan, catalogue, 0, 40)
        ranked = rank_block(block, catalogue, plan, propose_all(block, catalogue, plan))
        coefficient = event_coefficients(block, plan.weights)
        own = ranked.parts[:, PARTS.index("own_history")]
        for user in range(block.size):
            rows = np.flatnonzero(ranked.user == user)
            events = slice(block.events.starts[user], block.events.starts[user + 1])
            values = contributions(block, catalogue, coefficient, events, ranked.item[rows], own[rows])
            for index, part in enumerate(LINEAR_PARTS):
                summed = values[:, block.events.part[events] == index].sum(axis=1)
                expected = ranked.parts[rows, PARTS.index(part)]
                np.testing.assert_allclose(summed, expected, rtol=0, atol=1e-6)
                supported[part] += int((expected != 0).sum())
    # Whatever the gate, some users have one window only; a test on parts that are all zero would show nothing.
    assert supported["long"] and supported["short"] and bool(supported["own_history"]) == repeats

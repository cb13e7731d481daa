"""Candidate sources: what each proposes, seen through the published rows and the registry."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings.retrieval import cost, indexed
from embeddings.settings import Settings
from tideline.ranking import rank
from tideline.ranking.candidates import source, source_names
from tideline.ranking.candidates.interest import ITEM_INDEX, nearest_allowed
from tideline.ranking.pairs import pair_keys


def test_every_file_is_registered_once():
    assert source_names() == ("interest", "own_history", "popular", "trending")
    with pytest.raises(ValueError, match="two candidate sources are called 'popular'"):
        source("popular")(lambda *_: (np.empty(0), np.empty(0)))


@pytest.mark.parametrize("repeats", [True, False])
def test_own_history_proposes_only_where_repeats_are_allowed(repeats, new_world, make_run, ranked_rows):
    world = new_world(
        events=[("e1", "ann", "a", "purchase", 1), ("e2", "bob", "b", "purchase", 1)],
        items=["a", "b"],
        repeats_allowed=repeats,
    )
    found = {
        row["item_id"]: row["candidate_sources"] for row in ranked_rows(make_run(world)) if row["user_id"] == "ann"
    }
    popular = ["popular", "trending"]
    assert found == ({"a": ["own_history", *popular], "b": popular} if repeats else {"b": popular})


def test_trending_is_of_the_last_days(new_world, make_run, ranked_rows):
    world = new_world(
        events=[("e1", "ann", "old", "view", 90), ("e2", "bob", "new", "view", 2), ("e3", "cid", "x", "view", 2)],
        items=["old", "new", "x"],
    )
    rows = {(row["user_id"], row["item_id"]): row for row in ranked_rows(make_run(world))}
    assert rows["cid", "new"]["candidate_sources"] == ["popular", "trending"]
    assert rows["cid", "old"]["candidate_sources"] == ["popular"]


def test_interest_reaches_past_what_was_seen(new_world, make_run, ranked_rows):
    """The nearest 300 items are all seen, the wanted one is unpopular and comes after them."""
    near = {f"s{number:03d}": [1.0, 0.001 * number] for number in range(300)}
    far = {f"f{number:03d}": [-1.0, 0.001 * number] for number in range(300)}
    vectors = {**near, **far, "wanted": [0.7, -0.7]}
    events = [(f"e{item}", "ann", item, "view", 30) for item in near]
    events += [(f"p{item}", f"other{number}", item, "view", 30) for item in far for number in range(2)]
    unit = {item: (np.array(vector) / np.linalg.norm(vector)).tolist() for item, vector in vectors.items()}
    world = new_world(events=events, items=sorted(vectors), vectors=unit, top_k=1)
    first = next(row for row in ranked_rows(make_run(world)) if row["user_id"] == "ann")
    assert (first["item_id"], first["candidate_sources"]) == ("wanted", ["interest"])


@pytest.mark.parametrize("floor", [0.95, 1.01])
def test_an_index_that_pays_serves_if_its_recall_is_fit(floor, new_random_world, make_run, ranked_rows, monkeypatch):
    run = make_run(new_random_world(5, users=30))
    rows = ranked_rows(run)
    monkeypatch.setattr(cost, "CERTAIN", 0)
    monkeypatch.setattr(cost, "OVER_PRODUCT", 1e9)
    monkeypatch.setattr(indexed, "RECALL_FLOOR", floor)
    counts = rank(run, Settings(source="canonical", home=run.root))
    # Some vectors are the same, and which of them an index finds is not said.
    assert counts["index_recall"] >= 0.9
    assert not (run.path / ITEM_INDEX).exists()
    assert ranked_rows(run) == rows


def test_nearest_allowed_is_the_exact_head_of_each_users_order():
    random = np.random.default_rng(3)
    vectors = random.normal(size=(500, 8)).astype(np.float32)
    queries = random.normal(size=(30, 8)).astype(np.float32)
    searchable = np.flatnonzero(random.random(500) < 0.9)
    excluded = []
    for user in range(30):
        items = random.choice(500, size=user * 15, replace=False)
        excluded.append(pair_keys(np.full(items.size, user), np.sort(items), 500))
    users = np.flatnonzero(np.arange(30) % 4 != 0)
    keys = np.concatenate(excluded)
    allowed = np.isin(np.arange(500), searchable)
    user, item = nearest_allowed(queries, users, vectors, allowed, keys, 10)
    forbidden = set(keys.tolist())
    for asked in range(30):
        order = searchable[np.argsort(-(vectors[searchable] @ queries[asked]), kind="stable")]
        free = [found for found in order if asked * 500 + found not in forbidden]
        assert item[user == asked].tolist() == (free[:10] if asked in users else [])

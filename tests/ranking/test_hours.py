"""What a night learns from everybody, and what its hours then say of single users."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranking.worlds import AS_OF, World, random_world, rank_by

from tideline.ranking.inputs import KNOWLEDGE
from tideline.ranking.learned import make_past, rank
from tideline.ranking.learned.features import prepare
from tideline.ranking.learned.knowledge import CARD, learn, load_knowledge, save_knowledge
from tideline.ranking.plan import RankingError


def close(found, expected):
    """Compare rows: floats of another number of users may differ in the last bits."""
    assert len(found) == len(expected)
    for mine, other in zip(found, expected, strict=True):
        for name, value in other.items():
            if name == "score_parts":
                found_parts = {part["part"]: part["value"] for part in mine[name]}
                assert found_parts == pytest.approx({part["part"]: part["value"] for part in value}, abs=1e-5)
            elif name == "because":
                assert [c["contribution"] for c in mine[name]] == pytest.approx(
                    [c["contribution"] for c in value], abs=1e-5
                )
                assert [c["event_id"] for c in mine[name]] == [c["event_id"] for c in value]
            elif isinstance(value, float):
                assert mine[name] == pytest.approx(value, abs=1e-5)
            else:
                assert mine[name] == value


@pytest.mark.parametrize("repeats", [True, False])
def test_an_hour_says_of_unchanged_users_what_the_night_said(repeats, ranker, make_run, ranked_rows):
    world = random_world(21, users=30, items=40, repeats_allowed=repeats, top_k=10)
    night = make_run(world, ranker)
    users = {"u0003", "u0010", "u0011", "u0025"}
    expected = [row for row in ranked_rows(night, 100) if row["user_id"] in users]
    close(ranked_rows(make_run(replace(world, users=users), base=night)), expected)


def test_an_hour_follows_the_new_events_of_a_user(make_run, ranked_rows):
    random = np.random.default_rng(1)
    kinds = {"a": [f"a{number}" for number in range(12)], "b": [f"b{number}" for number in range(12)]}
    events = [
        (f"e{user}-{number}", f"u{user:02d}", str(item), "view", float(random.uniform(1, 60)))
        for user in range(30)
        for number, item in enumerate(random.choice(kinds["ab"[user % 2]], 6, replace=False))
    ]
    world = World(events, [*kinds["a"], *kinds["b"]], top_k=6)
    night = make_run(world, rank_by("item_knn.share"))
    before = [row for row in ranked_rows(night) if row["user_id"] == "u00"]
    later = [(event, user, item, kind, age + 1 / 24) for event, user, item, kind, age in events]
    new = [(f"new{number}", "u00", item, "view", 0.01) for number, item in enumerate(kinds["b"][:5])]
    rows = ranked_rows(
        make_run(
            replace(world, events=[*later, *new], users=["u00", "who"]), base=night, as_of=AS_OF + timedelta(hours=1)
        )
    )
    after = [row for row in rows if row["user_id"] == "u00"]
    count = [Counter(row["item_id"][0] for row in found) for found in (before, after)]
    assert set(count[0]) == {"a"} and count[1]["b"] > 0
    assert not {row["item_id"] for row in after} & {event[2] for event in new}
    assert {cited["event_id"] for row in after for cited in row["because"]} & {event[0] for event in new}
    assert [row["item_id"] for row in rows if row["user_id"] == "who"], "unknown to the night: what is popular"


def test_an_hour_shows_what_is_available_now(make_run, ranked_rows):
    world = random_world(3, users=12, items=20, top_k=20)
    night = make_run(world)
    ranked_rows(night)
    gone = {"i001", "i005"}
    hour = make_run(replace(world, unavailable=world.unavailable | gone, users=["u0001", "u0004"]), base=night)
    found = {row["item_id"] for row in ranked_rows(hour)}
    assert found and not found & (gone | world.unavailable)


def test_an_hour_shows_what_arrived_since_the_night(make_run, ranked_rows):
    world = World(
        [("e1", "ann", "a", "view", 2), ("e2", "bob", "b", "view", 2)],
        ["a", "b", "c"],
        available_from={"c": -0.01},
        unavailable=frozenset("c"),
    )
    night = make_run(world)
    ranked_rows(night)
    hour = make_run(replace(world, unavailable=frozenset()), base=night, as_of=AS_OF + timedelta(hours=1))
    assert [row["item_id"] for row in ranked_rows(hour) if row["user_id"] == "ann"] == ["b", "c"]


def test_a_base_without_knowledge_says_what_to_rerun(make_run, ranked_rows):
    world = random_world(3, users=6)
    night = make_run(world)
    ranked_rows(night)
    shutil.rmtree(night.path / KNOWLEDGE)
    with pytest.raises(RankingError, match=f"base night {night.run_id} has no folder knowledge: rerun that night"):
        ranked_rows(make_run(replace(world, users=["u0001"]), base=night))


@settings(max_examples=10)
@given(
    seed=st.integers(0, 1000),
    events=st.integers(0, 200),
    users=st.integers(1, 30),
    texts=st.booleans(),
    categories=st.integers(0, 3),
)
def test_saved_and_loaded_knowledge_gives_the_same_scores(
    seed, events, users, texts, categories, trained, tmp_path_factory
):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(15, 4)) / 2 if texts else np.zeros((15, 0))
    past = make_past(
        random.integers(0, users, events),
        random.integers(0, 15, events),
        random.random(events) * 90 + 0.01,
        users=users,
        items=15,
        vectors=vectors.astype(np.float32),
        categories=np.eye(15)[:, :categories],
    )
    known = learn(past)
    folder = tmp_path_factory.mktemp("knowledge") / "known"
    for _ in range(2):
        save_knowledge(known, folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["known"]
    loaded = load_knowledge(folder)
    assert (loaded.items, set(loaded.lessons)) == (15, set(known.lessons))
    for name in ("blend", "trees"):
        for one, other in zip(
            rank(trained(name), prepare(past, known), np.arange(users), 5, repeats=True),
            rank(trained(name), prepare(past, loaded), np.arange(users), 5, repeats=True),
            strict=True,
        ):
            np.testing.assert_array_equal(one.pairs.item, other.pairs.item)
            np.testing.assert_array_equal(one.pairs.score, other.pairs.score)


def test_knowledge_of_another_format_says_what_to_do(tmp_path):
    past = make_past(np.array([0]), np.array([0]), np.array([1.0]), users=1, items=1)
    save_knowledge(learn(past), tmp_path / "known")
    card = tmp_path / "known" / CARD
    card.write_text(card.read_text().replace('"format": ', '"format": 9'))
    with pytest.raises(ValueError, match="run the night again"):
        load_knowledge(tmp_path / "known")

"""Sentences name the largest part and, where events support it, titles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from ranking.worlds import AS_OF, World, rank_by

from tideline.ranking.because import CITED, Cited
from tideline.ranking.catalogue import Catalogue
from tideline.ranking.events import LIKE, Events
from tideline.ranking.reasons import NEW, REGULAR, write_reasons


@pytest.fixture
def reason(make_run, ranked_rows):
    """Return a function that ranks a world by some features and returns the reason of one of its rows."""

    def find(world, user, item, *features):
        rows = ranked_rows(make_run(world, rank_by(*features)))
        return next(row["reason"] for row in rows if (row["user_id"], row["item_id"]) == (user, item))

    return find


@pytest.mark.parametrize("feature", ["text_fused.share", "text_long.share", "text_short.share"])
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("e1", "alien", "rating")], "Because you rated Alien (1979)"),
        ([("e1", "alien", "purchase"), ("e2", "heat", "view")], "Because you bought Alien (1979) and 1 other"),
        ([("e1", "alien", "purchase"), ("e2", "heat", "view"), ("e3", "ran", "view")],
         "Because you bought Alien (1979) and 2 others"),
        ([("e1", "alien", "purchase"), ("e2", "alien", "purchase")], "Because you bought Alien (1979)"),
        ([("e1", "heat", "view")], "Because you viewed heat"),
        ([("e1", "heat", "carried off")], "Because you chose heat"),
        ([("e1", "heat", "view"), ("e0", None, "search")], "Because of your search and 1 other"),
    ],
)  # fmt: skip
def test_interest_names_the_leading_event(events, expected, feature, reason):
    age = 3.0 if "short" in feature else 40.0
    world = World(
        events=[(event, "ann", item, kind, age - 0.01 * n) for n, (event, item, kind) in enumerate(events)],
        items=["alien", "aliens", "heat", "ran"],
        vectors={"alien": [1, 0], "aliens": [0.8, 0.6], "heat": [0.6, 0.8], "ran": [0.55, 0.83]},
        texts={"e0": [0.8, 0.6]},
        titles={"alien": "Alien (1979)"},
    )
    assert reason(world, "ann", "aliens", feature) == expected


@pytest.mark.parametrize(
    ("times", "kind", "expected"),
    [
        (7, "purchase", "You buy this regularly (7 times)"),
        (REGULAR, "listen", f"You choose this regularly ({REGULAR} times)"),
        (1, "purchase", "You bought this before"),
        (2, "listen", "You chose this before"),
    ],
)
@pytest.mark.parametrize("feature", ["own.share", "text_fused.share", "own.rank"])
def test_a_row_that_rests_on_the_item_itself_counts(times, kind, expected, feature, reason):
    events = [(f"e{number}", "ann", "tea", kind, 10.0 + number) for number in range(times)]
    world = World(events=events, items=["tea"], vectors={"tea": [1, 0]}, repeats_allowed=True)
    assert reason(world, "ann", "tea", feature) == expected


def two_tastes(**changes):
    """Make ann and bob share tea, of which bob has also had cake; cid has had ham alone."""
    events = [
        ("e1", "ann", "tea", "view", 9.0), ("e2", "bob", "tea", "view", 9.0), ("e3", "bob", "cake", "view", 2.0),
        ("e4", "cid", "ham", "view", 50.0), ("e5", "dan", "ham", "view", 50.0),
    ]  # fmt: skip
    return World(events=events, items=["cake", "ham", "tea", "rye"], **changes)


def test_what_others_chose_is_told_by_the_users_own_event(reason):
    assert reason(two_tastes(), "ann", "cake", "item_knn.share") == "Because you viewed tea"
    # The nearest users had it, though nobody had it beside what she has had.
    assert reason(two_tastes(), "ann", "ham", "neighbours.share") == "Chosen by people who choose what you do"


@pytest.mark.parametrize(
    ("item", "feature", "days", "expected"),
    [
        ("cake", "trending.share", 7.0, "Popular this week"),
        ("cake", "trending.share", 3.0, "Popular in the last 3 days"),
        ("ham", "popular.share", 7.0, "Popular with everyone"),
        ("cake", "category.share", 7.0, "Popular in a category that you choose from"),
        ("ham", "trending.share", 7.0, "Completes the list: nothing more is known yet"),
        ("cake", "text_near.share", 7.0, "Like what you have chosen"),
        ("cake", "text_long.share", 7.0, "Close to what you have liked over time"),
        ("cake", "text_fused.share", 7.0, "Close to what you like"),
    ],
)
def test_parts_that_no_event_supports_say_so_and_cite_nothing(item, feature, days, expected, make_run, ranked_rows):
    world = two_tastes(
        trend_days=days,
        categories={"tea": "sweet", "cake": "sweet", "ham": "salty"},
        # A right angle: no share of the cosine is an event's.
        vectors={"tea": [1, 0], "cake": [0.9, 0.436] if "near" in feature else [0, 1]},
    )
    rows = ranked_rows(make_run(world, rank_by(feature)))
    row = next(row for row in rows if (row["user_id"], row["item_id"]) == ("ann", item))
    assert (row["reason"], row["because"]) == (expected, [])


def test_short_interest_without_an_event(reason):
    world = World([("e1", "ann", "tea", "view", 1.0)], ["tea", "cake"], {"tea": [1, 0], "cake": [0, 1]})
    assert reason(world, "ann", "cake", "text_short.share") == "Close to what you like now"


@pytest.mark.parametrize(
    ("parts", "explored", "expected"),
    [
        ({"popularity": 1.0, "rhythm": 2.0}, False, "You buy this regularly (4 times)"),
        ({"popularity": 3.0, "rhythm": 2.0}, False, "Popular with everyone"),
        ({"base": 9.0, "user": 9.0, "rules": 9.0, "popularity": 0.1}, False, "Popular with everyone"),
        ({"base": 9.0, "popularity": -0.1}, False, "Completes the list: nothing more is known yet"),
        ({"popularity": 3.0}, True, NEW),
    ],
)
def test_parts_that_only_trees_and_rules_have(parts, explored, expected):
    """Ann has bought tea four times, and nothing is cited."""
    one = np.zeros(1, dtype=np.int64)
    events = Events(
        np.array([0, 1]), one + LIKE, one, one + 1.0, one, np.zeros((1, 2), np.float32), one + 4,
        pa.array(["e1"]), pa.array(["purchase"]), pa.array([AS_OF]),
    )  # fmt: skip
    catalogue = Catalogue(pa.array(["tea"]), pa.array(["Tea"]), pa.nulls(1, pa.string()), np.ones(1, dtype=bool))
    nothing = Cited(*(np.full((1, CITED), value) for value in (-1, 0, 0.0)))
    given = {name: np.array([value]) for name, value in parts.items()}
    assert write_reasons(events, catalogue, 7.0, one, one, given, nothing, np.array([explored])) == [expected]

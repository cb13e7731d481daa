"""Sentences name the largest part and, where events support it, titles."""

from __future__ import annotations

import pytest


def reason(world, make_run, ranked_rows, user, item):
    return next(
        row["reason"] for row in ranked_rows(make_run(world)) if (row["user_id"], row["item_id"]) == (user, item)
    )


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("e1", "ann", "alien", "rating", 40)], "Because you rated Alien (1979)"),
        (
            [("e1", "ann", "alien", "purchase", 40), ("e2", "ann", "heat", "view", 30)],
            "Because you bought Alien (1979) and 1 other",
        ),
        (
            [("e1", "ann", "alien", "purchase", 40), ("e2", "ann", "alien", "purchase", 30)],
            "Because you bought Alien (1979)",
        ),
        ([("e1", "ann", "heat", "view", 3)], "Because you viewed heat"),
        ([("e1", "ann", "heat", "carried off", 3)], "Because you chose heat"),
        ([("e1", "ann", None, "search", 3)], "Because of your search"),
    ],
)
def test_interest_names_the_leading_event(events, expected, new_world, make_run, ranked_rows):
    world = new_world(
        events=events,
        items=["alien", "aliens", "heat"],
        vectors={"alien": [1, 0], "aliens": [0.8, 0.6], "heat": [0.6, 0.8]},
        texts={"e1": [1, 0]} if events[0][2] is None else {},
        titles={"alien": "Alien (1979)"},
    )
    assert reason(world, make_run, ranked_rows, "ann", "aliens") == expected


@pytest.mark.parametrize(
    ("times", "kind", "expected"),
    [
        (7, "purchase", "You buy this regularly (7 times)"),
        (3, "listen", "You choose this regularly (3 times)"),
        (1, "purchase", "You bought this before"),
    ],
)
def test_own_history_counts(times, kind, expected, new_world, make_run, ranked_rows):
    events = [(f"e{number}", "ann", "tea", kind, 10 + number) for number in range(times)]
    world = new_world(events=events, items=["tea"], repeats_allowed=True)
    assert reason(world, make_run, ranked_rows, "ann", "tea") == expected


def test_interest_that_rests_on_the_item_itself_speaks_of_the_item(new_world, make_run, ranked_rows):
    world = new_world(
        events=[("e1", "ann", "tea", "purchase", 300)], items=["tea"], vectors={"tea": [1, 0]}, repeats_allowed=True
    )
    assert reason(world, make_run, ranked_rows, "ann", "tea") == "You bought this before"


def test_an_event_older_than_both_windows_is_cited_by_the_history(new_world, make_run, ranked_rows):
    events = [("e1", "ann", "tea", "purchase", 500), ("e2", "ann", "tea", "purchase", 450)]
    world = new_world(events=events, items=["tea"], repeats_allowed=True, half_life=None)
    (row,) = ranked_rows(make_run(world))
    parts = {part["part"]: part["value"] for part in row["score_parts"]}
    assert parts["own_history"] == pytest.approx(0.6 * 4 / 5)
    assert [(cited["event_id"], cited["event_type"]) for cited in row["because"]] == [("e2", "purchase")]
    assert row["because"][0]["contribution"] == pytest.approx(parts["own_history"])


def test_trend_and_popularity_say_so_and_cite_nothing(new_world, make_run, ranked_rows):
    world = new_world(
        events=[("e1", "ann", "a", "view", 90), ("e2", "bob", "b", "view", 1), ("e3", "cid", "c", "view", 90)],
        items=["a", "b", "c"],
        weights={"interest": 1.0, "own_history": 1.0, "trend": 0.6, "popularity": 0.3},
    )
    rows = {row["item_id"]: row for row in ranked_rows(make_run(world)) if row["user_id"] == "ann"}
    assert {item: row["reason"] for item, row in rows.items()} == {
        "b": "Popular this week",
        "c": "Popular with everyone",
    }
    assert all(row["because"] == [] for row in rows.values())

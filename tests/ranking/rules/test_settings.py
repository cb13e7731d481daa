"""Rules as `run_settings` gives them."""

from __future__ import annotations

import pytest

from tideline.ranking.rules import Rules, RulesError, load_rules

ROW = {
    "category_cap": 3,
    "boosts": [("toys", 1.5)],
    "diversity": 0.25,
    "exploration_share": 0.1,
    "exploration_days": 14.0,
    "top_k": 20,
}


@pytest.mark.parametrize("boosts", [[("toys", 1.5)], {"toys": 1.5}])
def test_maps_of_arrow_and_of_duckdb(boosts):
    assert load_rules({**ROW, "boosts": boosts}) == Rules(3, {"toys": 1.5}, 0.25, 0.1, 14.0)


def test_no_cap():
    assert load_rules({**ROW, "category_cap": None}).category_cap is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("category_cap", 0),
        ("diversity", 1.5),
        ("diversity", float("nan")),
        ("exploration_share", -0.1),
        ("exploration_days", -1),
        ("boosts", {"toys": 0.0}),
        ("boosts", {"toys": float("inf")}),
    ],
)
def test_what_cannot_be_is_named(name, value):
    with pytest.raises(RulesError, match=name):
        load_rules({**ROW, name: value})


def test_a_missing_column_is_named():
    with pytest.raises(RulesError, match="diversity"):
        load_rules({name: value for name, value in ROW.items() if name != "diversity"})


@pytest.mark.parametrize(
    ("share", "k", "places"), [(0.05, 20, 1), (0.05, 19, 0), (0.29, 100, 29), (1, 7, 7), (0, 9, 0)]
)
def test_places(share, k, places):
    assert Rules(exploration_share=share).places(k) == places

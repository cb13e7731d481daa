"""Rules as settings: how they reach `run_settings`, what they block, and what is popular by category."""

import pyarrow.parquet as pq
import pytest

from tideline import contracts, warehouse
from tideline.ranking.rules import Rules, load_rules

AS_OF = "2024-05-01"
ITEMS = [
    {"item_id": "hat", "title": "Hat", "category": "clothes | sun"},
    {"item_id": "coat", "title": "Coat", "category": "clothes"},
    {"item_id": "gone", "category": "clothes", "available_until": "2024-01-01"},
    {"item_id": "it's", "category": "sun|"},
    {"item_id": "wine", "category": "drinks|red"},
]


def taken(item, *days):
    return [{"user_id": f"u{n}", "item_id": item, "event_at": day} for n, day in enumerate(days)]


@pytest.fixture
def shop(house):
    """`coat` is the most popular of all time, `hat` of these days."""
    house.land(
        "b1",
        [
            *taken("coat", "2024-01-01", "2024-01-01", "2024-01-01"),
            *taken("hat", "2024-04-30", "2024-04-30"),
            *taken("gone", "2024-04-30"),
            *taken("it's", "2024-04-30"),
            *taken("wine", "2024-04-29"),
            *taken("plain", "2024-04-29"),
        ],
        ITEMS,
    )
    return house


def published(house, write_rows, kind="nightly", as_of=AS_OF, batches=("b1",), **fields):
    run = house.built(kind, as_of, list(batches), **fields)
    row = {
        **{"user_id": "u0", "rank": 1, "item_id": "hat", "score": 1.0, "reason": "Many have it", "model_version": "m"},
        **{"score_parts": [], "rules": [], "because": [], "candidate_sources": []},
    }
    write_rows(run.scored / "part-00000.parquet", contracts.SCORED, [row])
    warehouse.build_marts(run, house.settings)
    return run


def by_category(house, run):
    rows = house.table(run, "popular_by_category")
    listed = {}
    for row in sorted(rows, key=lambda row: (row["category"], row["rank"])):
        listed.setdefault(row["category"], []).append((row["rank"], row["item_id"], row["events_recent"], row["users"]))
    return listed


def test_rules_reach_ranking_through_the_exported_row(shop):
    given = {
        "blocked_items": ["it's", "x"],
        "blocked_categories": ["red"],
        "category_cap": 3,
        "boosts": {"o'clock": 1.5, "item:hat": 0.5},
        "diversity": 0.25,
        "exploration_share": 0,
        "exploration_days": 14,
    }

    run = shop.built("nightly", AS_OF, ["b1"], vars=given)

    [row] = pq.read_table(run.tables / "run_settings.parquet").to_pylist()
    assert (row["blocked_items"], row["blocked_categories"]) == (["it's", "x"], ["red"])
    assert load_rules(row) == Rules(3, {"item:hat": 0.5, "o'clock": 1.5}, 0.25, 0.0, 14.0)
    blocked = {row["item_id"] for row in shop.table(run, "dim_items") if row["is_blocked"]}
    assert blocked == {"it's", "wine"}


def test_defaults_only_explore(shop):
    run = shop.built("nightly", AS_OF, ["b1"])

    [row] = pq.read_table(run.tables / "run_settings.parquet").to_pylist()
    assert load_rules(row) == Rules(exploration_share=0.05, exploration_days=28.0)
    assert not any(row["is_blocked"] for row in shop.table(run, "dim_items"))


def test_popular_by_category(shop, write_rows):
    run = published(shop, write_rows)

    assert by_category(shop, run) == {
        "clothes": [(1, "hat", 2, 2), (2, "coat", 0, 3)],
        "drinks": [(1, "wine", 1, 1)],
        "red": [(1, "wine", 1, 1)],
        "sun": [(1, "hat", 2, 2), (2, "it's", 1, 1)],
    }


def test_popular_tables_hold_nothing_blocked_and_no_more_than_asked(shop, write_rows):
    run = published(shop, write_rows, vars={"blocked_items": ["hat"], "blocked_categories": ["red"], "top_k": 1})

    assert [row["item_id"] for row in shop.table(run, "popular_recommendations")] == ["coat", "it's", "plain"]
    assert by_category(shop, run) == {"clothes": [(1, "coat", 0, 3)], "sun": [(1, "it's", 1, 1)]}


def test_an_hour_carries_popularity_and_blocks_by_its_own_settings(shop, write_rows):
    base = shop.built("nightly", AS_OF, ["b1"])
    shop.land("b2", [*taken("wine", "2024-05-01 00:10"), *taken("new", "2024-05-01 00:20")])

    fields = {"base": base.run_id, "vars": {"blocked_items": ["coat"]}}
    hour = published(shop, write_rows, "hourly", "2024-05-01 01:00", ["b1", "b2"], **fields)

    assert by_category(shop, hour) == {
        "clothes": [(1, "hat", 2, 2)],
        "drinks": [(1, "wine", 1, 1)],
        "red": [(1, "wine", 1, 1)],
        "sun": [(1, "hat", 2, 2), (2, "it's", 1, 1)],
    }


def test_a_rule_that_names_nothing_warns(shop):
    named = {"blocked_items": ["hat"], "blocked_categories": ["sun"], "boosts": {"item:coat": 2, "red": 2}}
    run = shop.open("nightly", AS_OF, ["b1"], vars=named)
    assert warehouse.build_behaviour(run, shop.settings)["warnings"] == 0

    misspelt = {"blocked_items": ["hatt"], "blocked_categories": ["sunn"], "boosts": {"item:coatt": 2, "redd": 2}}
    run = shop.open("nightly", AS_OF, ["b1"], vars=misspelt)
    assert warehouse.build_behaviour(run, shop.settings)["warnings"] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"blocked_items": "hat"}, "blocked_items must be a list of texts"),
        ({"blocked_items": [17]}, "blocked_items must hold texts: put 17 in quotes"),
        ({"boosts": ["red"]}, "boosts must be a mapping"),
        ({"boosts": {"red": 0}}, "boosts must hold factors above 0"),
        ({"category_cap": 0}, "category_cap must be at least 1, got 0"),
        ({"diversity": 1.5}, "diversity must be from 0 to 1, got 1.5"),
    ],
)
def test_wrong_rules_stop_the_run_by_name(shop, given, message):
    with pytest.raises(warehouse.WarehouseError, match=message):
        shop.built("nightly", AS_OF, ["b1"], vars=given)

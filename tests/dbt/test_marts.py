"""The tables that readers see."""

from datetime import datetime

import pytest

from tideline import contracts, warehouse


def scored(user, rank, item):
    return {
        "user_id": user,
        "rank": rank,
        "item_id": item,
        "score": 1.0 / rank,
        "score_parts": [{"part": "base", "value": 0.0}, {"part": "popularity", "value": 1.0 / rank}],
        "rules": [],
        "reason": "Many have it",
        "because": [],
        "candidate_sources": ["popular"],
        "model_version": "m1",
    }


@pytest.fixture(scope="module")
def night(new_house, write_rows):
    house = new_house()
    events = [
        {"user_id": f"u{n}", "item_id": f"i{m}", "event_at": "2024-04-30"} for n in range(3) for m in range(n + 1)
    ]
    items = [{"item_id": "i0", "title": "Coat", "available_until": "2024-01-01"}, {"item_id": "i1", "title": "Hat"}]
    house.land("b1", events, items, reasons={"user_id_missing": 2})
    run = house.built("nightly", "2024-05-01", ["b1"], new_batches=("b1",))
    write_rows(run.scored / "part-00000.parquet", contracts.SCORED, [scored("u0", 1, "i1"), scored("u0", 2, "i2")])
    write_rows(run.scored / "part-00001.parquet", contracts.SCORED, [scored("u1", 1, "i2")])
    write_rows(run.vectors / "user_vectors.parquet", contracts.USER_VECTORS, [{"user_id": "u0", "gate": 0.5}])
    counts = warehouse.build_marts(run, house.settings)
    return house, run, counts


def test_a_night_fills_its_own_layer(night):
    house, run, counts = night

    rows = house.table(run, "nightly_recommendations")

    assert [(row["user_id"], row["rank"], row["item_id"]) for row in rows] == [
        ("u0", 1, "i1"),
        ("u0", 2, "i2"),
        ("u1", 1, "i2"),
    ]
    assert {(row["as_of"], row["generation"]) for row in rows} == {(datetime(2024, 5, 1), run.generation)}
    assert rows[0]["score_parts"] == scored("u0", 1, "i1")["score_parts"]
    assert house.table(run, "hourly_recommendations") == []
    assert counts["recommendations"] == 3


def test_popular_holds_only_what_is_available(night):
    house, run, _ = night

    rows = house.table(run, "popular_recommendations")

    assert [(row["rank"], row["item_id"], row["title"]) for row in rows] == [(1, "i1", "Hat"), (2, "i2", None)]
    assert [row["score"] for row in rows] == [1.0, 0.5]


def test_user_interests_keep_users_without_vectors(night):
    house, run, _ = night

    assert [(row["user_id"], row["gate"]) for row in house.table(run, "user_interests")] == [
        ("u0", 0.5),
        ("u1", None),
        ("u2", None),
    ]


def test_intake_and_quarantine_are_summed_without_content(night):
    house, run, _ = night

    [batch] = house.table(run, "intake")
    [refused] = house.table(run, "quarantine_summary")

    assert batch["rows_read"] == batch["accepted"] + batch["quarantined"] + batch["ignored"] == 10
    assert batch["is_new"]
    assert (refused["rule"], refused["reason"], refused["count"]) == ("user_id_missing", "an event needs a user", 2)


def test_every_published_column_says_what_it_means(night, ask):
    _, run, _ = night

    silent = ask(
        run,
        "select table_name, column_name from duckdb_columns() join duckdb_tables() using (schema_name, table_name) "
        "where schema_name = 'main' and coalesce(duckdb_columns.comment, '') = '' "
        "and table_name not like 'int_%' and table_name <> 'run_settings'",
    )

    assert silent == []


def test_an_hour_fills_the_other_layer(night, write_rows):
    house, base, _ = night
    house.land("b2", [{"user_id": "u1", "item_id": "i1", "event_at": "2024-05-01 00:30"}])
    hour = house.built("hourly", "2024-05-01 01:00", ["b1", "b2"], base=base.run_id)
    write_rows(hour.scored / "part-00000.parquet", contracts.SCORED, [scored("u1", 1, "i2")])

    warehouse.build_marts(hour, house.settings)

    assert [row["user_id"] for row in house.table(hour, "hourly_recommendations")] == ["u1"]
    assert house.table(hour, "nightly_recommendations") == []
    assert len(house.table(hour, "popular_recommendations")) == 2


def test_two_rows_of_one_rank_stop_the_run(new_house, write_rows):
    house = new_house()
    house.land("b1", [{"user_id": "u0", "item_id": "i0", "event_at": "2024-04-30"}])
    run = house.built("nightly", "2024-05-01", ["b1"])
    write_rows(run.scored / "part-00000.parquet", contracts.SCORED, [scored("u0", 1, "i1"), scored("u0", 1, "i2")])

    with pytest.raises(warehouse.WarehouseError, match="unique_together_nightly_recommendations_user_id__rank"):
        warehouse.build_marts(run, house.settings)


def test_without_ranked_rows_nothing_is_built(new_house):
    house = new_house()
    house.land("b1", [{"user_id": "u0", "item_id": "i0", "event_at": "2024-04-30"}])
    run = house.built("nightly", "2024-05-01", ["b1"])

    with pytest.raises(warehouse.WarehouseError, match="no ranked rows"):
        warehouse.build_marts(run, house.settings)


def test_a_failure_repeats_no_value_of_a_row(new_house, write_rows):
    house = new_house()
    house.land("b1", [{"user_id": "u0", "item_id": "i0", "event_at": "2024-04-30"}])
    run = house.built("nightly", "2024-05-01", ["b1"])
    columns = tuple(c._replace(type="varchar") if c.name == "rank" else c for c in contracts.SCORED)
    write_rows(run.scored / "part-00000.parquet", columns, [{**scored("u0", 1, "i1"), "rank": "told in confidence"}])

    with pytest.raises(warehouse.WarehouseError, match="nightly_recommendations") as failure:
        warehouse.build_marts(run, house.settings)

    assert "confidence" not in str(failure.value)

"""What is inside a snapshot beside the rows: comments, history, metrics; and that it refuses what is not the run's."""

from __future__ import annotations

import json
import re

import duckdb
import pytest

from tideline.contracts import QUALITY_METRICS, RUN_HISTORY
from tideline.serving import publish
from tideline.serving.snapshot import copy_ahead
from tideline.serving.tables import ORDER, WarehouseIncompleteError


def test_every_table_keeps_its_comments_through_nights_and_hours(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 2}), room.settings)
    publish(room.make_run("nightly", room.at(0), {"a": 3}), room.settings)
    tables = dict(room.ask("select table_name, comment from duckdb_tables()"))
    assert set(tables) == {*ORDER, "run_history", "quality_metrics"}
    assert tables["items"] == "Grain: one row of items, the user's own."
    columns = room.ask("select table_name, column_name, comment from duckdb_columns() where not internal")
    told = {(table, column): comment for table, column, comment in columns}
    assert told["recommendations", "user_id"] == told["user_interests", "user_id"] == "The first column."
    for table, contract in (("run_history", RUN_HISTORY), ("quality_metrics", QUALITY_METRICS)):
        assert {name: told[table, name] for name in (c.name for c in contract)} == {c.name: c.comment for c in contract}
    assert room.ask("select comment from duckdb_views() where view_name = 'recommendations'")[0][0].startswith("Grain:")


def test_a_users_rows_are_found_by_an_index_whatever_ids_have_in_common(room):
    users = {f"customer-{number:07}": 1.0 for number in range(60)}
    night = room.make_run("nightly", room.at(0), users)
    publish(night, room.settings)

    def ways(user: str) -> list[str]:
        plan = room.ask(f"explain analyze from recommendations where user_id = '{user}'")[0][1]
        assert plan.count("recommendations") >= 2
        return re.findall(r"Type: (\w+ Scan)", plan)

    assert "Index Scan" in ways("customer-0000007")
    publish(room.make_run("hourly", room.at(1), {"customer-0000007": 2.0}, base=night.run_id), room.settings)
    assert "Index Scan" in ways("customer-0000007")
    scores = {user: score for user, (score, _) in room.shown().items()}
    assert scores == users | {"customer-0000007": 2.0}
    assert room.ask("select score from recommendations where user_id = 'customer-0000007' and rank = 1") == [(2.0,)]


def test_history_tells_what_became_of_the_accepted_events(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    publish(room.make_run("hourly", room.at(1), {"a": 2}), room.settings)

    told = room.ask(
        "select accepted, used, outside_windows, not_yet_due, too_late, duplicates, taken_back, no_interest "
        "from run_history"
    )

    assert told == [(46, 3, 4, 5, 7, 8, 10, 9)] * 2


def test_history_tells_layers_hashes_and_stages(room):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1})
    stored = room.make_run("nightly", room.at(-24), {"a": 1})
    hour = room.make_run("hourly", room.at(1), {"a": 2})
    replaced = room.make_run("hourly", room.at(2), {"a": 2})
    for run in (night, stored, hour, replaced):
        publish(run, room.settings)
    rows = room.ask(
        "select generation, is_current, users, rows, seconds, stages, window_end, fence, vars "
        "from run_history order by fence"
    )
    assert [row[:4] for row in rows] == [
        (night.generation, True, 2, 6),
        (stored.generation, False, 1, 3),
        (hour.generation, False, 1, 3),
        (replaced.generation, True, 1, 3),
    ]
    assert rows[0][4:7] == (
        8.0,
        [
            {"stage": "rank", "seconds": 1.5, "peak_mb": 80.0},
            {"stage": "plan_texts", "seconds": 0.5, "peak_mb": 1.0},
            {"stage": "embed_shard", "seconds": 5.0, "peak_mb": 2.0},  # the shards of the last plan
            {"stage": "collect_vectors", "seconds": 1.0, "peak_mb": None},
        ],
        night.window.end.replace(tzinfo=None),
    )
    assert [row[7] for row in rows] == sorted({row[7] for row in rows})
    assert rows[0][8] == "{}"


def test_hash_is_of_the_rows_not_of_their_name_place_or_order(make_room, tmp_path):
    hashes = []
    for number, scores in enumerate(({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})):
        room = make_room(home=tmp_path / str(number), threads=1 + number % 2)
        publish(room.make_run("nightly", room.at(0), scores, token=str(number)), room.settings)
        hashes += room.ask("select rows_hash from run_history")
    assert hashes[0] == hashes[1] != hashes[2]


def test_metrics_of_the_layer_and_of_evaluations(room):
    folder = room.settings.root / "evaluation"
    folder.mkdir(parents=True)
    row = {"metric": "ndcg@10", "subject": "blend", "value": 0.25, "unit": None}
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1}, top=2)
    content = {"as_of": "2000-11-22T00:00:00+00:00", "generation": "before", "rows": [row]}
    (folder / "good.json").write_text(json.dumps(content))
    (folder / "torn.json").write_text('{"as_of": ')
    publish(night, room.settings)
    found = {(m, s): (v, g) for m, s, v, _, _, g in room.ask("from quality_metrics")}
    assert found["ndcg@10", "blend"] == (0.25, "before")
    assert found["coverage", "nightly"] == (0.4, night.generation)
    assert found["users_served", "nightly"] == (2, night.generation)
    for metric, value in (("texts_embedded", 7), ("texts_truncated", 2), ("texts_failed", 1)):
        assert found[metric, "nightly"] == (value, night.generation)
    assert ("texts_known", "nightly") not in found  # what was not counted is not made up
    assert found["users_with_interest_vector", "nightly"] == (1, night.generation)
    assert found["share_of_rows", "nightly, first source popular"] == (1, night.generation)


def test_many_hours_do_not_swell_the_snapshot(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1, "b": 1}), room.settings)
    sizes = [
        publish(room.make_run("hourly", room.at(hour), {"a": hour}), room.settings)["snapshot_bytes"]
        for hour in range(1, 7)
    ]
    assert max(sizes) <= sizes[1] * 1.5


def test_rows_of_another_run_are_refused_and_the_present_ones_stay(room):
    night = room.make_run("nightly", room.at(0), {"a": 1})
    publish(night, room.settings)
    wrong = room.make_run("nightly", room.at(24), {"a": 2})
    with duckdb.connect(str(wrong.warehouse)) as warehouse:
        warehouse.execute("update nightly_recommendations set generation = 'another'")
    with pytest.raises(WarehouseIncompleteError, match="rows of another"):
        publish(wrong, room.settings)
    with duckdb.connect(str(wrong.warehouse)) as warehouse:
        warehouse.execute("drop table items")
    with pytest.raises(WarehouseIncompleteError, match="lacks items"):
        publish(wrong, room.settings)
    assert room.shown() == {"a": (1, night.generation)}


def test_failed_publication_leaves_nothing_behind(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    before = sorted(path.name for path in room.serving.iterdir())
    wrong = room.make_run("hourly", room.at(1), {"a": 2})
    with duckdb.connect(str(wrong.warehouse)) as warehouse:
        warehouse.execute("alter table hourly_recommendations alter rank type varchar using 'first'")
    with pytest.raises(duckdb.ConversionException):
        publish(wrong, room.settings)
    assert sorted(path.name for path in room.serving.iterdir()) == before
    assert not list(wrong.path.glob("snapshot*"))


def test_column_that_a_release_adds_is_null_until_the_next_night(room):
    publish(room.make_run("nightly", room.at(0), {"a": 1}), room.settings)
    publish(room.make_run("hourly", room.at(25), {"b": 1}), room.settings)
    night = room.make_run("nightly", room.at(24), {"a": 2})
    with duckdb.connect(str(night.warehouse)) as warehouse:
        for table in ("nightly_recommendations", "hourly_recommendations"):
            warehouse.execute(f"alter table {table} add column novelty double default 0.5")
    publish(night, room.settings)
    assert sorted(set(room.ask("select user_id, novelty from recommendations")), key=str) == [("a", 0.5), ("b", None)]


def test_a_copy_made_ahead_is_begun_from_and_leaves_nothing_behind(room):
    night = room.make_run("nightly", room.at(0), {"a": 1, "b": 1})
    hour = room.make_run("hourly", room.at(1), {"a": 2})
    assert copy_ahead(hour) == 0  # nothing is published yet
    size = publish(night, room.settings)["snapshot_bytes"]

    assert copy_ahead(hour) in (size, 0)  # 0: this file system shares blocks
    assert copy_ahead(hour) == 0  # a repeated task finds it done
    publish(hour, room.settings)

    assert room.shown() == {"a": (2, hour.generation), "b": (1, night.generation)}
    assert list(hour.path.glob("ahead_*")) == []


@pytest.mark.parametrize("kind", ["nightly", "hourly"])
def test_what_was_published_since_a_copy_was_made_ahead_is_kept(room, kind):
    publish(room.make_run("nightly", room.at(0), {"a": 1, "b": 1}), room.settings)
    hour = room.make_run("hourly", room.at(26), {"a": 2})
    copy_ahead(hour)
    between = room.make_run(kind, room.at(25), {"b": 3, "c": 3})
    publish(between, room.settings)

    publish(hour, room.settings)

    assert room.shown() == {
        "a": (2, hour.generation),
        "b": (3, between.generation),
        "c": (3, between.generation),
    }

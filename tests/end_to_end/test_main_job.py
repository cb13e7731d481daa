"""The main job as a stranger runs it: one night and three hours through Airflow, then SQL on what is published."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from end_to_end.shop import tideline
from tideline.models import champion_for, list_champions
from tideline.serving.manifest import list_manifests

pytestmark = pytest.mark.slow
TABLES = {
    "nightly_recommendations", "hourly_recommendations", "recommendations", "popular_recommendations",
    "popular_by_category",
    "user_interests", "items", "intake", "quarantine_summary", "quality_metrics", "run_history",
}  # fmt: skip


def query(home: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str((home / "serving" / "current.duckdb").resolve()), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_it_shows_stages_three_users_and_what_to_do_next(published: tuple[Path, str]) -> None:
    _, printed = published
    for stage in (
        "train_models",
        "take_in",
        "build_behaviour",
        "plan_texts",
        "embed_shard",
        "collect_vectors",
        "rank",
        "publish",
    ):
        assert stage in printed
    for expected in (
        "with long and short history",
        "with long history only",
        "A user nobody knows",
        "make sql",
        "make up",
    ):
        assert expected in printed
    assert printed.count("Generation ") == 4


def test_every_table_of_the_design_is_published_with_comments(published: tuple[Path, str]) -> None:
    home, _ = published
    tables = {
        name for (name,) in query(home, "select table_name from information_schema.tables where table_schema = 'main'")
    }
    assert tables == TABLES
    uncommented = query(
        home, "select table_name, column_name from duckdb_columns() where not internal and comment is null"
    )
    assert uncommented == []


def test_everyone_has_a_full_list_and_the_active_have_a_newer_one(published: tuple[Path, str]) -> None:
    home, _ = published
    sizes = query(home, "select distinct count(*) over (partition by user_id) from recommendations")
    assert sizes == [(20,)]
    assert query(home, "select count(distinct user_id) from recommendations") == [(24,)]
    hourly = {user for (user,) in query(home, "select distinct user_id from hourly_recommendations")}
    assert hourly == {"u20", "u21", "u22", "u23"}
    shown = query(home, "select distinct user_id from recommendations where as_of > timestamp '2024-03-01'")
    assert {user for (user,) in shown} == hourly


def test_reasons_cite_only_events_of_the_user_that_the_run_could_know(published: tuple[Path, str], shop: Path) -> None:
    home, _ = published
    cited = query(
        home, "select user_id, as_of, unnest(because, recursive := true) from recommendations where len(because) > 0"
    )
    assert len(cited) > 100
    known = {}
    for line in (shop / "events" / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        known.setdefault(event["user_id"], set()).add((event["item_id"], event["event_type"]))
    for user, as_of, _, item, event_type, event_at, *_ in cited:
        assert (item, event_type) in known[user]
        assert event_at < as_of


def test_a_rerun_of_the_night_changes_nothing(published: tuple[Path, str], shop: Path) -> None:
    home, _ = published
    before = (home / "serving" / "current.duckdb").readlink()
    rows = query(home, "select * from recommendations order by user_id, rank")
    done = tideline(home, shop, "run", "--as-of", "2024-03-01", "--hours", "0")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (home / "serving" / "current.duckdb").readlink() == before
    assert query(home, "select * from recommendations order by user_id, rank") == rows
    assert "train_models" not in done.stdout  # there is a champion: the weekly DAG looks after it


def test_rows_carry_the_champion_and_its_figures_are_published(published: tuple[Path, str]) -> None:
    home, _ = published
    [entry] = list_champions(home)
    versions = query(home, "select distinct split_part(model_version, '+', 1) from recommendations")
    assert versions == [(entry["version"],)]
    assert query(home, "select value from quality_metrics where metric = 'promoted'") == [(1.0,)]
    assert {entry["version"]} == {manifest.model for manifest in list_manifests(home)}


def test_models_are_listed_and_going_back_is_one_command(
    published: tuple[Path, str], shop: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(published[0] / "models", home / "models")
    [entry] = list_champions(home)
    listed = tideline(home, shop, "models")
    assert listed.returncode == 0, listed.stderr
    assert entry["version"] in listed.stdout and "first version" in listed.stdout
    refused = tideline(home, shop, "models", "back")
    assert refused.returncode == 1 and "no earlier champion" in refused.stderr
    unknown = tideline(home, shop, "models", "use", "--version", "model-0")
    assert unknown.returncode == 1 and entry["version"] in unknown.stderr
    chosen = tideline(home, shop, "models", "use", "--version", entry["version"])
    assert chosen.returncode == 0 and len(list_champions(home)) == 2


def test_an_older_window_is_stored_and_said_not_to_be_current(
    published: tuple[Path, str], shop: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(published[0], home, symlinks=True)
    done = tideline(home, shop, "run", "--as-of", "2024-02-01", "--hours", "0")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "NOT current" in done.stdout
    assert query(home, "select max(as_of)::varchar from nightly_recommendations") == [("2024-03-01 00:00:00",)]
    # It trained for its own time, and left the champion of later nights alone.
    assert "train_models as of 2024-02-01" in done.stdout
    champions = [champion_for(root, datetime(2024, 3, 1)) for root in (home, published[0])]
    assert champions[0] and champions[1] and champions[0].name == champions[1].name


def test_sql_is_read_only_and_one_command_away(published: tuple[Path, str], shop: Path) -> None:
    home, _ = published
    asked = tideline(home, shop, "sql", "select count(*) as n from recommendations")
    assert asked.returncode == 0 and "480" in asked.stdout
    refused = tideline(home, shop, "sql", "drop view recommendations")
    assert refused.returncode != 0 and "read-only" in refused.stderr


def test_the_figures_are_written_beside_what_was_printed(published: tuple[Path, str]) -> None:
    report = json.loads((published[0] / "reports" / "run.json").read_text())
    assert set(report) == {"command", "commit", "machine", "rows"}
    seconds = {row["subject"]: row["value"] for row in report["rows"] if row["metric"] == "seconds"}
    assert seconds["total"] > sum(value for subject, value in seconds.items() if "embed" in subject)


@pytest.mark.parametrize(
    ("arguments", "more", "expected"),
    [
        (["run", "--as-of", "soon"], {}, "write 2000-11-23"),
        (["run"], {"TIDELINE_LANDING": "/nonexistent/landing"}, "/nonexistent/landing"),
        (["run"], {"TIDELINE_VARS": "[1, 2]"}, "YAML mapping"),
        (["run"], {"TIDELINE_SOURCE": "no_such_source"}, "no_such_source"),
        (["run", "--hours", "-1"], {}, "HOURS"),
        (["sql", "select 1"], {"TIDELINE_HOME": "/tmp/tideline-never-run"}, "make run"),
    ],
)
def test_an_error_says_what_to_mend_in_one_line(
    arguments: list[str], more: dict[str, str], expected: str, shop: Path, tmp_path: Path
) -> None:
    done = tideline(tmp_path / "home", shop, *arguments, **more)
    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr

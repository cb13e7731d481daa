"""Replay: what was refused is listed, shown, released into the right windows once, or discarded; nothing is deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.intake import (
    QuarantineError,
    Selection,
    discard,
    find_rows,
    lake_files,
    list_batches,
    overview,
    release,
    take_in,
)
from tideline.intake.quarantine import count_decided

Land = Callable[[str, bytes | str], Path]
HEADER = "user_id,item_id,event_type,event_at,event_text\n"
FILE = HEADER + (
    "u1,i1,view,2020-01-01,\n"
    ",i1,view,2020-01-02,my secret\n"
    ",i2,view,2020-01-03,\n"
    "u1,i3,view,not a day,\n"
    "u2,i3,view,2020-01-05,too,many,fields\n"
    "u9,i9,view,2020-02-03,\n"
)
LANDED = datetime(2020, 2, 1, tzinfo=UTC)
LATER = datetime(2020, 3, 1, tzinfo=UTC)


@pytest.fixture
def house(settings_for: Callable[..., Settings], land: Land) -> Settings:
    """A home that has taken in one file of which five rows broke four rules."""
    land("events/e.csv", FILE)
    settings = settings_for()
    take_in(settings, landed_at=LANDED)
    return settings


def events(settings: Settings) -> list[tuple]:
    files, _ = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])
    query = "select user_id, item_id, event_at::date::varchar from read_parquet($files) order by all"
    return duckdb.sql(query, params={"files": [str(file) for file in files]}).fetchall()


def states(settings: Settings) -> dict[str, tuple[int, int, int]]:
    return {row["rule"]: (row["held"], row["released"], row["discarded"]) for row in overview(settings)}


def fingerprints(root: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def test_what_is_held_is_listed_by_file_and_rule_and_shown_row_by_row(house: Settings) -> None:
    assert states(house) == {
        "user_id_missing": (2, 0, 0),
        "event_at_unreadable": (1, 0, 0),
        "event_at_impossible": (1, 0, 0),
        "unreadable_row": (1, 0, 0),
    }
    assert "secret" not in repr(overview(house))
    (row,) = find_rows(house, Selection(rule="user_id_missing"), limit=1)
    assert (row["file"], row["row_number"], row["state"]) == ("events/e.csv", 2, "held")
    assert "my secret" in row["raw"]


def test_a_fixed_row_is_released_once(house: Settings) -> None:
    (batch,) = list_batches(house.root)
    before = fingerprints(house.root / "lake") | fingerprints(house.root / "quarantine")
    chosen = Selection(batch["batch_id"], rows=(2,))

    counts = release(house, chosen, {"user_id": "u7"}, landed_at=LATER)
    again = release(house, chosen, {"user_id": "u7"}, landed_at=LATER)
    all_of_them = release(house, Selection(rule="user_id_missing"), {"user_id": "u7"}, landed_at=LATER)

    assert counts == {"selected": 1, "released": 1, "still_refused": 0, "batches": 1}
    assert again == {"selected": 0, "released": 0, "still_refused": 0, "batches": 0}
    assert all_of_them["released"] == 1
    assert events(house) == [("u1", "i1", "2020-01-01"), ("u7", "i1", "2020-01-02"), ("u7", "i2", "2020-01-03")]
    assert states(house)["user_id_missing"] == (0, 2, 0)
    new = [record for record in list_batches(house.root) if record["kind"] == "release"]
    assert [(r["file"], r["rows_read"], r["accepted"], r["quarantined"]) for r in new] == [
        ("events/e.csv", 1, 1, 0)
    ] * 2
    assert {record["landed_at"] for record in new} == {"2020-03-01T00:00:00+00:00"}
    assert "u7" not in (house.root / "lake" / "batches" / new[0]["batch_id"] / "batch.json").read_text()
    after = fingerprints(house.root)
    assert {path: after[path] for path in before if path.name != "lock"} == {
        path: digest for path, digest in before.items() if path.name != "lock"
    }


def test_the_accounts_of_the_file_stay_right(house: Settings) -> None:
    (batch,) = list_batches(house.root)
    release(house, Selection(rule="user_id_missing"), {"user_id": "u7"}, landed_at=LATER)
    discard(house, Selection(rule="unreadable_row"), "a test of the till")

    first, new = list_batches(house.root)

    assert first == batch
    assert (new["rows_read"], new["accepted"], new["released_from"]) == (2, 2, batch["batch_id"])
    assert count_decided(house.root, [first, new]) == {
        (batch["batch_id"], "user_id_missing"): (2, 0),
        (batch["batch_id"], "unreadable_row"): (0, 1),
    }
    assert count_decided(house.root, [first])[batch["batch_id"], "unreadable_row"] == (0, 1)


def test_a_row_that_still_breaks_a_rule_stays_where_it_is(house: Settings) -> None:
    counts = release(house, Selection(rule="user_id_missing"), {}, landed_at=LATER)
    assert counts == {"selected": 2, "released": 0, "still_refused": 2, "batches": 0}
    assert len(list_batches(house.root)) == 1
    # As impossible as on the day it landed: waiting does not make a future day right.
    assert release(house, Selection(rule="event_at_impossible"), {}, landed_at=LATER)["released"] == 0


def test_a_row_that_was_never_columns_needs_all_of_them(house: Settings) -> None:
    chosen = Selection(rule="unreadable_row")
    assert release(house, chosen, {"user_id": "u2"}, landed_at=LATER)["still_refused"] == 1
    mended = {"user_id": "u2", "item_id": "i3", "event_type": "view", "event_at": "2020-01-05"}
    assert release(house, chosen, mended, landed_at=LATER)["released"] == 1
    assert ("u2", "i3", "2020-01-05") in events(house)


def test_a_changed_rule_lets_rows_through(
    settings_for: Callable[..., Settings], land: Land, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A rule of the contract is a line of SQL: here the project is copied, and the day that was unreadable is not."""
    import shutil

    from tideline import dbt, warehouse

    land("events/e.csv", FILE)
    settings = settings_for()
    take_in(settings, landed_at=LANDED)
    project = tmp_path / "dbt_project"
    shutil.copytree(warehouse.PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "staging" / "canonical" / "stg_canonical__events.sql"
    readable = "coalesce({{ staging_iso_timestamp('event_at') }}, timestamp '2020-01-04')"
    model.write_text(model.read_text().replace("{{ staging_iso_timestamp('event_at') }}", readable))
    (settings.root / "cache").unlink()
    monkeypatch.setattr(dbt, "PROJECT", project)

    counts = release(settings, Selection(rule="event_at_unreadable"), {}, landed_at=LATER)

    assert counts["released"] == 1
    assert ("u1", "i3", "2020-01-04") in events(settings)


def test_a_mended_row_has_the_id_of_a_row_that_came_like_that(
    settings_for: Callable[..., Settings], land: Land
) -> None:
    land("events/broken.csv", HEADER + ",i1,view,2020-01-01,\n")
    land("events/whole.csv", HEADER + "u1,i1,view,2020-01-01,\n")
    settings = settings_for()
    take_in(settings, landed_at=LANDED)
    release(settings, Selection(rule="user_id_missing"), {"user_id": "u1"}, landed_at=LATER)
    files, _ = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])
    ids = duckdb.sql("select event_id from read_parquet($f)", params={"f": [str(file) for file in files]}).fetchall()
    assert len(ids) == 2 and len(set(ids)) == 1


def test_discarded_rows_are_marked_and_stay(house: Settings) -> None:
    assert discard(house, Selection(rule="user_id_missing"), "guests") == 2
    assert discard(house, Selection(rule="user_id_missing"), "guests") == 0
    assert release(house, Selection(rule="user_id_missing"), {"user_id": "u7"}, landed_at=LATER)["selected"] == 0
    rows = find_rows(house, Selection(rule="user_id_missing"), limit=9)
    assert [(row["state"], row["why"]) for row in rows] == [("discarded", "guests")] * 2
    private = house.root / "quarantine" / "discarded"
    assert private.stat().st_mode & 0o077 == 0
    assert [file.stat().st_mode & 0o077 for file in private.iterdir()] == [0]


def test_a_decision_names_its_rows(house: Settings) -> None:
    with pytest.raises(QuarantineError, match="say which rows"):
        release(house, Selection(), {})
    with pytest.raises(QuarantineError, match="say which rows"):
        discard(house, Selection(), "all")
    with pytest.raises(QuarantineError, match="count within one file"):
        Selection(rows=(1,))
    with pytest.raises(QuarantineError, match="say why"):
        discard(house, Selection(rule="user_id_missing"), " ")
    with pytest.raises(QuarantineError, match="no column customer; its columns are event_id, user_id"):
        release(house, Selection(rule="user_id_missing"), {"customer": "u1"})


def test_two_files_of_one_name_are_released_each_with_its_own(
    settings_for: Callable[..., Settings], land: Land
) -> None:
    settings = settings_for()
    for user in ("a", "b"):
        land("events/e.csv", HEADER + f"u,{user},view,2020-01-01,\n,{user},view,2020-01-01,\n")
        take_in(settings, landed_at=LANDED)
    counts = release(settings, Selection(rule="user_id_missing"), {"user_id": "x"}, landed_at=LATER)
    assert (counts["released"], counts["batches"]) == (2, 2)
    assert [row for row in events(settings) if row[0] == "x"] == [("x", "a", "2020-01-01"), ("x", "b", "2020-01-01")]


def test_a_repaired_file_of_the_same_name_lands_again(
    settings_for: Callable[..., Settings], land_parquet: Callable[[str, str], Path]
) -> None:
    query = "select 'u' as user_id, 'i' as item_id, 'view' as event_type, timestamp '2020-01-01' as event_at"
    file = land_parquet("events/e.parquet", query)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    settings = settings_for()
    assert take_in(settings, landed_at=LANDED)["unreadable_files"] == 1
    assert states(settings) == {"unreadable_file": (0, 0, 0)}
    assert release(settings, Selection(rule="unreadable_file"), {})["selected"] == 0

    file.write_bytes(whole)
    counts = take_in(settings, landed_at=LATER)

    assert (counts["batches"], counts["accepted"], counts["unreadable_files"]) == (1, 1, 0)
    assert events(settings) == [("u", "i", "2020-01-01")]
    assert len(list_batches(settings.root)) == 2

"""The canonical source: times in every spelling, ids as they are, optional columns that may be empty or absent."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.intake import lake_files, list_batches, take_in

TIMES = {
    "2020-01-01": "2020-01-01 00:00:00",
    "2020-01-01 10:00": "2020-01-01 10:00:00",
    "2020-01-01T10:00:00": "2020-01-01 10:00:00",
    "2020-01-01T10:00:00Z": "2020-01-01 10:00:00",
    "2020-01-01T10:00:00.123456Z": "2020-01-01 10:00:00.123456",
    "2020-01-01T10:00:00+05:30": "2020-01-01 04:30:00",
    "2020-01-01T10:00:00-0800": "2020-01-01 18:00:00",
    "2020-01-01T10:00+02": "2020-01-01 08:00:00",
    "2020-01-01 10:00z": "2020-01-01 10:00:00",
    "2020-01-01T10:00:00z": "2020-01-01 10:00:00",
    "2020-07-01T10:00:00 Europe/London": "2020-07-01 09:00:00",
    "1969-12-31T23:59:59Z": "1969-12-31 23:59:59",
}
NO_TIMES = ["", "yesterday", "infinity", "epoch", "2020-13-01", "01/02/2020", "1577836800", "20200101"]


@pytest.fixture(params=["Asia/Kolkata"])
def machine_elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("machine_elsewhere")
def test_times_are_utc_whatever_their_spelling_and_the_zone_of_the_machine(
    settings_for: Callable[..., Settings], land: Callable[[str, str], Path]
) -> None:
    rows = "".join(f"{n}\ti\tview\t{text}\n" for n, text in enumerate([*TIMES, *NO_TIMES]))
    land("events/e.tsv", "user_id\titem_id\tevent_type\tevent_at\n" + rows)
    settings = settings_for()
    counts = take_in(settings)
    (batch,) = list_batches(settings.root)
    assert batch["reasons"] == {"event_at_unreadable": len(NO_TIMES)}
    assert counts["accepted"] == len(TIMES)
    (events,), _ = lake_files(settings.root, [batch["batch_id"]])
    read = duckdb.execute(f"select event_at::varchar from '{events}' order by user_id::int").fetchall()
    assert [text for (text,) in read] == list(TIMES.values())


@pytest.mark.usefixtures("machine_elsewhere")
def test_the_id_of_an_event_hashes_its_raw_columns_and_not_the_zone_of_the_machine(
    settings_for: Callable[..., Settings], land_parquet: Callable[[str, str], Path]
) -> None:
    row = "'u' as user_id, 'i' as item_id, 'view' as event_type, timestamptz '2020-01-01 00:00:00+00' as event_at"
    land_parquet("events/e.parquet", f"select {row} union all select {row}")
    settings = settings_for()
    take_in(settings)
    (events,), _ = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])
    raw = {"event_id": None, "user_id": "u", "item_id": "i", "event_type": "view", "event_at": "2020-01-01 00:00:00+00"}
    raw |= dict.fromkeys(("event_value", "event_text", "generation"))
    expected = hashlib.md5(f"events{json.dumps(raw, separators=(',', ':'))}".encode()).hexdigest()
    assert duckdb.execute(f"select event_id from '{events}'").fetchall() == [(expected,)] * 2


def test_ids_are_text_and_optional_values_may_be_empty_absent_or_wrong(
    settings_for: Callable[..., Settings], land: Callable[[str, str], Path]
) -> None:
    ids = ["007", "7", "a b", 'say ""hi""', "naïve", "🌊", "ABC", "abc", " lead", "x" * 1000]
    values = ["", "2.5", "nan", "many", *"123456"]
    rows = "".join(f'"{text}",i,view,2020-01-01,{value}\n' for text, value in zip(ids, values, strict=True))
    land("events/e.csv", "user_id,item_id,event_type,event_at,event_value\n" + rows)
    land("items/bare.csv", "item_id\n00\n")
    land("items/full.csv", "item_id,title,available_from,available_until,updated_at\n01,,,2021-01-01,never\n")
    settings = settings_for()
    counts = take_in(settings)
    assert (counts["events"], counts["items"], counts["quarantined"]) == (len(ids), 2, 0)
    (events,), items = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])
    users = dict(duckdb.execute(f"select user_id, event_value from '{events}'").fetchall())
    assert set(users) == {text.replace('""', '"') for text in ids}
    assert [users[text] for text in ("007", "7", "a b", 'say "hi"')] == [None, 2.5, None, None]
    found = duckdb.execute(
        "select item_id, title, available_from, available_until::varchar, updated_at from read_parquet($1) "
        "order by item_id",
        [list(map(str, items))],
    ).fetchall()
    assert found == [("00", None, None, None, None), ("01", None, None, "2021-01-01 00:00:00", None)]

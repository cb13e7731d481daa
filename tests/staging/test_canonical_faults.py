"""What can be wrong with a canonical file, and what must hold then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embeddings.settings import Settings
from tideline.intake import LandingError, lake_files, list_batches, take_in

Land = Callable[[str, bytes | str], Path]
Make = Callable[..., Settings]
HEADER = "user_id,item_id,event_type,event_at"
ROW = "ann,tea,view,2024-01-01T10:00:00Z"


def rows(settings: Settings, columns: str = "user_id, item_id, event_at::varchar", kind: int = 0) -> list[tuple]:
    files = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])[kind]
    if not files:
        return []
    return duckdb.execute(f"select {columns} from read_parquet($1) order by all", [list(map(str, files))]).fetchall()


def reasons(settings: Settings) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in list_batches(settings.root):
        for rule, number in batch["reasons"].items():
            found[rule] = found.get(rule, 0) + number
    return found


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{HEADER}\n{ROW}\n",
        f"{HEADER}\r\n{ROW}\r\n",
        f"\ufeff{HEADER}\r\n{ROW}",
        f"{HEADER}\n\n{ROW}\n\n",
        '"user_id","item_id","event_type","event_at"\n"ann","tea","view","2024-01-01T10:00:00Z"\n',
        f"{HEADER}\n{ROW}\n".replace(",", ";"),
        f"{HEADER}\n{ROW}\n".replace(",", "\t"),
    ],
    ids=["byte-order mark", "crlf", "both", "blank lines", "quotes", "semicolons", "tabs"],
)
def test_marks_line_ends_and_separators_change_nothing(settings_for: Make, land: Land, content: str) -> None:
    land("events/e.csv", content)
    settings = settings_for()
    take_in(settings)
    assert rows(settings) == [("ann", "tea", "2024-01-01 10:00:00")]
    assert reasons(settings) == {}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_inside_quotes_belong_to_the_text(settings_for: Make, land: Land, end: str) -> None:
    land("events/e.csv", f'{HEADER},event_text{end}{ROW},"one{end}two ""quoted"", three"{end}{ROW},plain{end}')
    settings = settings_for()
    take_in(settings)
    texts = {text.replace("\r\n", "\n") for (text,) in rows(settings, "event_text")}
    assert texts == {'one\ntwo "quoted", three', "plain"}


def test_a_decimal_comma_is_read_where_it_cannot_part_thousands(settings_for: Make, land: Land) -> None:
    values = ["4,5", "1234,25", "4.5", "4", "-0,5", "0,125", "1,234", "1.234,5", "1,234,567", ",", ""]
    lines = "".join(f"u{n};i;rating;2024-01-01;{value}\n" for n, value in enumerate(values))
    land("events/semicolon.csv", f"{HEADER};event_value\n".replace(",", ";") + lines)
    land("events/comma.csv", f'{HEADER},event_value\nv,i,rating,2024-01-01,"4,5"\n')
    settings = settings_for()
    take_in(settings)
    found = dict(rows(settings, "user_id, event_value"))
    assert [found[f"u{n}"] for n in range(len(values))] == [4.5, 1234.25, 4.5, 4, -0.5, 0.125, *[None] * 5]
    assert found["v"] == 4.5
    assert reasons(settings) == {}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1704103200", "2024-01-01 10:00:00"),
        ("1704103200123", "2024-01-01 10:00:00.123"),
        ("1704103200123456", "2024-01-01 10:00:00.123456"),
        ("-86400", "1969-12-31 00:00:00"),
        ("0", "1970-01-01 00:00:00"),
    ],
)
def test_a_bare_number_is_no_time_whatever_its_unit(settings_for: Make, land: Land, written: str, read: str) -> None:
    """Seconds, milliseconds and microseconds overlap: canonical guesses none; ISO text says what it means."""
    land("events/e.csv", f"{HEADER}\nann,tea,view,{written}\nbob,tea,view,{read}\n")
    settings = settings_for()
    take_in(settings)
    assert rows(settings) == [("bob", "tea", read)]
    assert reasons(settings) == {"event_at_unreadable": 1}


@pytest.mark.parametrize(("unit", "epoch"), [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)])
def test_a_parquet_timestamp_of_any_unit_is_its_instant(
    settings_for: Make, land_parquet: Callable[[str, str], Path], unit: str, epoch: int
) -> None:
    kind = {"us": "timestamp"}.get(unit, f"timestamp_{unit}")
    land_parquet(
        "events/e.parquet",
        f"select user_id, 'i' as item_id, 'view' as event_type, event_at::{kind} as event_at from (values "
        "('a', timestamp '2024-01-01 10:00:00'), ('b', timestamp '1969-12-31 23:59:59')) as t(user_id, event_at)",
    )
    settings = settings_for()
    take_in(settings)
    assert rows(settings) == [("a", "i", "2024-01-01 10:00:00"), ("b", "i", "1969-12-31 23:59:59")]


def test_offsets_and_daylight_saving_give_one_instant(settings_for: Make, land: Land) -> None:
    times = {
        "2024-03-31T00:59:59+00:00": "2024-03-31 00:59:59",  # the last second of winter in London
        "2024-03-31T02:00:00+01:00": "2024-03-31 01:00:00",  # the first of summer
        "2024-10-27T01:30:00+01:00": "2024-10-27 00:30:00",  # the hour that comes twice, first
        "2024-10-27T01:30:00+00:00": "2024-10-27 01:30:00",  # and again
        "2024-07-01 10:00:00 America/New_York": "2024-07-01 14:00:00",
        "2024-01-01 10:00:00 America/New_York": "2024-01-01 15:00:00",
        "2024-06-30T23:30:00-01:30": "2024-07-01 01:00:00",
    }
    land("events/e.csv", f"{HEADER}\n" + "".join(f"u{n},i,view,{text}\n" for n, text in enumerate(times)))
    settings = settings_for()
    take_in(settings)
    assert [at for _, _, at in rows(settings)] == list(times.values())


def test_placeholder_dates_are_read_as_they_stand(settings_for: Make, land: Land) -> None:
    """They are possible: a gate warns where they come in bulk. A moment before 1900 is not."""
    times = ["1970-01-01", "1970-01-01T00:00:00Z", "1900-01-01", "1899-12-31T23:59:59", "0001-01-01", "9999-12-31"]
    land("events/e.csv", f"{HEADER}\n" + "".join(f"u{n},i,view,{text}\n" for n, text in enumerate(times)))
    settings = settings_for()
    take_in(settings)
    assert [at for _, _, at in rows(settings)] == ["1970-01-01 00:00:00", "1970-01-01 00:00:00", "1900-01-01 00:00:00"]
    assert reasons(settings) == {"event_at_impossible": 3}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_ids_are_text_and_stay_as_they_are(
    settings_for: Make, land: Land, land_parquet: Callable[[str, str], Path], kind: str
) -> None:
    ids = [
        "007",
        "7",
        "7.0",
        "1e5",
        "a b",
        "a  b",
        'say "hi"',
        "it's",
        "🌊",
        "é",
        "e\u0301",
        "ABC",
        "abc",
        "nan",
        "None",
    ]
    ids += ["NULL", "true", "-", "x" * 1000, "a,b", "a;b", "a|b", "../up", "<b>"]
    if kind == "csv":
        quoted = [text.replace('"', '""') for text in ids]
        land("events/e.csv", f"{HEADER}\n" + "".join(f'"{text}","{text}",view,2024-01-01\n' for text in quoted))
    else:
        duckdb.execute("create or replace temp table ids as select unnest(?::varchar[]) as id", [ids])
        query = "select id as user_id, id as item_id, 'view' as event_type, '2024-01-01' as event_at from ids"
        if kind == "parquet":
            land_parquet("events/e.parquet", query)
        else:
            lines = duckdb.execute(f"select to_json(t)::varchar from ({query}) as t").fetchall()
            land("events/e.jsonl", "".join(f"{line}\n" for (line,) in lines))
    settings = settings_for()
    take_in(settings)
    assert sorted(rows(settings, "user_id, item_id")) == sorted((text, text) for text in ids)
    assert reasons(settings) == {}


def test_a_new_column_is_left_out_with_a_warning(
    settings_for: Make, land: Land, caplog: pytest.LogCaptureFixture
) -> None:
    land("events/e.csv", f"{HEADER},device\n{ROW},phone\n")
    settings = settings_for()
    with caplog.at_level(logging.WARNING):
        take_in(settings)
    assert len(rows(settings)) == 1
    assert "events/e.csv" in caplog.text and "device" in caplog.text and "phone" not in caplog.text
    assert list_batches(settings.root)[0]["extra_columns"] == ["device"]


@pytest.mark.parametrize("kind", ["missing", "retyped"])
def test_drift_that_matters_stops_before_anything_is_written_and_says_what(
    settings_for: Make, land: Land, land_parquet: Callable[[str, str], Path], kind: str
) -> None:
    land("events/a_good.csv", f"{HEADER}\n{ROW}\n")
    if kind == "missing":
        land("events/bad.csv", "user_id,item_id,kind,event_at\nann,tea,view,2024-01-01\n")
        said = ["canonical", "bad.csv", "'event_type'", "expected", "user_id, item_id, kind, event_at"]
    else:
        land_parquet(
            "events/bad.parquet",
            "select ['ann'] as user_id, 'tea' as item_id, 'view' as event_type, '2024-01-01' as event_at",
        )
        said = ["canonical", "bad.parquet", "'user_id'", "expected varchar", "found varchar[]"]
    settings = settings_for()
    with pytest.raises(LandingError) as caught:
        take_in(settings)
    assert [words for words in said if words not in str(caught.value)] == []
    assert list_batches(settings.root) == []
    assert not (settings.root / "quarantine").exists()


def test_empty_optional_fields_are_null_in_every_format(
    settings_for: Make, land: Land, land_parquet: Callable[[str, str], Path]
) -> None:
    land("events/a.csv", f'{HEADER},event_value,event_text,generation\n{ROW},,,\n{ROW},"",  ,""\n')
    line = '{"user_id": "ann", "item_id": "tea", "event_type": "view", "event_at": "2024-01-01"'
    land("events/b.jsonl", f'{line}}}\n{line}, "event_value": null, "event_text": "", "generation": null}}\n')
    land_parquet(
        "events/c.parquet",
        "select 'ann' as user_id, 'tea' as item_id, 'view' as event_type, timestamp '2024-01-01' as event_at, "
        "null as event_value, null::varchar as event_text",
    )
    land("items/i.csv", "item_id,title,available_from,available_until,updated_at\ntea,,,,\n")
    settings = settings_for()
    counts = take_in(settings)
    assert (counts["quarantined"], counts["events"]) == (0, 5)
    assert set(rows(settings, "event_value, event_text, generation")) == {(None, None, None)}
    assert rows(settings, "item_id, title, available_from, available_until, updated_at", kind=1) == [
        ("tea", None, None, None, None)
    ]


def test_text_that_is_not_utf8_is_quarantined_row_by_row_in_lines_of_any_kind(settings_for: Make, land: Land) -> None:
    land("events/e.csv", f"{HEADER},event_text\n{ROW},fine\n".encode() + f"{ROW},caf".encode() + b"\xe9\n")
    line = b'{"user_id": "ann", "item_id": "tea", "event_type": "view", "event_at": "2024-01-01", "event_text": "%s"}\n'
    land("events/e.jsonl", line % b"fine" + line % b"caf\xe9")
    settings = settings_for()
    take_in(settings)
    assert reasons(settings) == {"undecodable_text": 2}
    assert rows(settings, "event_text") == [("fine",), ("fine",)]


def test_half_a_surrogate_pair_in_json_costs_its_row_and_broken_text_in_parquet_its_file(
    settings_for: Make, land: Land
) -> None:
    """A column of Parquet is declared UTF-8 as a whole: DuckDB refuses the file, and so it is quarantined by name."""
    line = '{"user_id": "ann", "item_id": "tea", "event_type": "view", "event_at": "2024-01-01", "event_text": "%s"}\n'
    land("events/e.jsonl", line % "half \\ud83d" + line % "\\ud83d\\ude00")
    offsets = pa.py_buffer(b"\x00\x00\x00\x00\x04\x00\x00\x00")
    broken = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b"caf\xe9"))
    table = {name: ["x"] for name in HEADER.split(",")} | {"event_text": broken}
    pq.write_table(pa.table(table), land("events/f.parquet", b""))
    settings = settings_for()
    take_in(settings)
    assert rows(settings, "event_text") == [("\U0001f600",)]
    assert reasons(settings) == {"unreadable_row": 1, "unreadable_file": 0}

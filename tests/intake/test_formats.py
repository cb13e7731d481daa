"""Files of any format in one landing folder give the same events; damaged files are refused by name."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Callable
from pathlib import Path

import duckdb

from embeddings.settings import Settings
from tideline.intake import lake_files, list_batches, take_in

Land = Callable[[str, bytes | str], Path]
HEADER = "user_id,item_id,event_type,event_at"


def lake_rows(settings: Settings, columns: str) -> list[tuple]:
    events, _ = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])
    return duckdb.execute(f"select {columns} from read_parquet($1) order by all", [list(map(str, events))]).fetchall()


def test_mixed_formats_of_one_folder_become_one_table(
    settings_for: Callable[..., Settings], land: Land, land_parquet: Callable[[str, str], Path]
) -> None:
    at = "2020-01-01T10:00:00"
    land("events/comma.csv", f"\ufeff{HEADER}\r\n007,i 1,view,{at}\r\n")
    land("events/deep/semicolon.csv", f"event_at;event_type;item_id;user_id\n{at}Z;view;i 1;007\n")
    land("events/tab.tsv", f"event_id\titem_id\tuser_id\tevent_type\tevent_at\nown-1\ti 1\t007\tview\t{at}\n")
    land("events/packed.csv.gz", gzip.compress(f"{HEADER}\n007,i 1,view,{at}+00:00\n".encode()))
    land("events/lines.jsonl", f'{{"user_id": "007", "item_id": "i 1", "event_type": "view", "event_at": "{at}"}}\n')
    land_parquet(
        "events/typed.parquet",
        f"select '007' as user_id, 'i 1' as item_id, 'view' as event_type, timestamp '{at}' as event_at, "
        "3::tinyint as event_value, true as never_declared",
    )
    land_parquet(
        "events/zoned.parquet",
        f"select '007' as user_id, 'i 1' as item_id, 'view' as event_type, timestamptz '{at}+00' as event_at",
    )
    land("items/items.csv", "item_id\ni 1\n")
    settings = settings_for()

    counts = take_in(settings)

    assert (counts["batches"], counts["accepted"], counts["quarantined"]) == (8, 8, 0)
    assert set(lake_rows(settings, "user_id, item_id, event_type, event_at::varchar")) == {
        ("007", "i 1", "view", "2020-01-01 10:00:00")
    }
    assert lake_rows(settings, "event_value")[:2] == [(3.0,), (None,)]
    by_file = {batch["file"]: batch for batch in list_batches(settings.root)}
    assert by_file["events/typed.parquet"]["extra_columns"] == ["never_declared"]
    ids = {event_id for (event_id,) in lake_rows(settings, "event_id")}
    # The same columns in another order are the same row; another spelling of the time is another row.
    assert "own-1" in ids
    assert len(ids) == 6


def test_a_damaged_file_is_quarantined_by_name_and_the_rest_go_on(
    settings_for: Callable[..., Settings], land: Land, land_parquet: Callable[[str, str], Path]
) -> None:
    rows = "".join(f"u{n},i{n % 7},view,2020-01-01\n" for n in range(5_000))
    packed = gzip.compress(f"{HEADER}\n{rows}".encode())
    land("events/a_good.csv", f"{HEADER}\nu,i,view,2020-01-01\n")
    land("events/b_cut.csv.gz", packed[: len(packed) // 2])
    land("events/c_cut_at_the_end.csv.gz", packed[:-4])
    land("events/d_no_gzip.csv.gz", b"user_id")
    whole = land_parquet(
        "events/e_cut.parquet",
        "select 'u' as user_id, 'i' as item_id, 'view' as event_type, now() as event_at from range(9999)",
    )
    whole.write_bytes(whole.read_bytes()[:-40])
    land("events/f_empty.csv", b"")
    land("events/g_only_a_header.csv", HEADER)
    land("events/h_good.csv", f"{HEADER}\nu,j,view,2020-01-01\n")
    settings = settings_for()

    counts = take_in(settings)

    assert (counts["batches"], counts["unreadable_files"], counts["accepted"]) == (8, 4, 2)
    batches = {batch["file"]: batch for batch in list_batches(settings.root)}
    refused = {name for name, batch in batches.items() if batch["unreadable"]}
    assert refused == {
        "events/b_cut.csv.gz", "events/c_cut_at_the_end.csv.gz", "events/d_no_gzip.csv.gz", "events/e_cut.parquet",
    }  # fmt: skip
    assert batches["events/f_empty.csv"]["rows_read"] == batches["events/g_only_a_header.csv"]["rows_read"] == 0
    assert {name for name, batch in batches.items() if "unreadable_file" in batch["reasons"]} == refused
    quarantine = settings.root / "quarantine"
    files = sorted(quarantine.iterdir())
    assert len(files) == 4
    assert stat.S_IMODE(quarantine.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    found = duckdb.execute(
        "select file, rule, row_number, raw from read_parquet($1)", [list(map(str, files))]
    ).fetchall()
    assert sorted(found) == [(name, "unreadable_file", None, None) for name in sorted(refused)]

    # Mended under the same name, it is a new file.
    land("events/b_cut.csv.gz", packed)
    again = take_in(settings)
    assert (again["batches"], again["accepted"]) == (1, 5_000)


def test_each_broken_row_is_quarantined_with_its_number_rule_and_text(
    settings_for: Callable[..., Settings], land: Land
) -> None:
    land(
        "events/dirty.csv",
        HEADER.encode() + b"\nu1,i,view,2020-01-01\n"
        b"too,few\n"
        b'"quoted\nnewline",i,view,2020-01-01\n'
        b"one,field,too,many,!\n"
        b'"never closed,i,view,2020-01-01\n'
        b'u6,"i ""6""",view,2020-01-01\r\n'
        b"\xff\xfe,i,view,2020-01-01\n"
        b",i,view,2020-01-01\n"
        b"u9,,view,2020-01-01\n"
        b"u10,,search,2020-01-01\n"
        b"u11,i,,2020-01-01\n"
        b"u12,i,view,yesterday\n"
        b"u13,i,view,2999-01-01\n"
        b"u14,i,view,1850-01-01\n",
    )
    settings = settings_for()

    counts = take_in(settings)

    (file,) = (settings.root / "quarantine").iterdir()
    refused = duckdb.execute(f"select row_number, rule, raw from '{file}' order by row_number").fetchall()
    assert [(number, rule) for number, rule, _ in refused] == [
        (2, "unreadable_row"),
        (4, "unreadable_row"),
        (5, "unreadable_row"),
        (7, "undecodable_text"),
        (8, "user_id_missing"),
        (9, "item_id_missing"),
        (11, "event_type_missing"),
        (12, "event_at_unreadable"),
        (13, "event_at_impossible"),
        (14, "event_at_impossible"),
    ]
    assert refused[2][2] == '"never closed,i,view,2020-01-01'
    assert '"event_at":"yesterday"' in refused[7][2]
    assert (counts["rows_read"], counts["accepted"], counts["quarantined"]) == (14, 4, 10)
    assert [row for (row,) in lake_rows(settings, "user_id")] == ["quoted\nnewline", "u1", "u10", "u6"]

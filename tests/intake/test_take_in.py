"""Intake adds batches and changes none: again, with more files, with equal files, and with a second one beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from embeddings.settings import Settings
from tideline.contracts import LAKE_EVENTS, LAKE_ITEMS
from tideline.intake import LandingError, batches, lake_files, list_batches, take_in

Land = Callable[[str, bytes | str], Path]
HEADER = "user_id,item_id,event_type,event_at\n"
ROW = "u,i,view,2020-01-01\n"


def test_only_what_is_new_is_taken_in(settings_for: Callable[..., Settings], land: Land) -> None:
    first = land("events/first.csv", HEADER + "u,i,view,2020-01-02\nu,i,view,2020-01-01\n")
    land("items/items.csv", "item_id,title\ni,A title\n")
    land("elsewhere/notes.txt", "not ours")
    settings = settings_for()
    take_in(settings, landed_at=datetime(2020, 2, 1, tzinfo=UTC))
    before = list_batches(settings.root)
    assert [batch["landed_at"] for batch in before] == ["2020-02-01T00:00:00+00:00"] * 2

    scratch = settings.root / "intake"
    scratch.rmdir()
    os.utime(first, (1, 1))  # touched, but the same
    take_in(settings)
    assert not scratch.exists()  # nothing was loaded
    second = land("events/second.csv", HEADER + ROW)
    land("events/.hidden.csv", HEADER + ROW)
    land("events/still_coming.csv.part", HEADER)
    counts = take_in(settings, landed_at=datetime(2020, 2, 2, tzinfo=UTC))
    assert (counts["files"], counts["batches"], counts["rows_read"]) == (3, 1, 1)
    assert list_batches(settings.root)[:2] == before

    content, stamp = second.read_bytes(), second.stat().st_mtime_ns
    second.write_bytes(content.replace(b"2020", b"2019"))  # what nobody does: it shows that size and time are enough
    os.utime(second, ns=(stamp, stamp))
    assert take_in(settings)["batches"] == 0

    first.write_text(HEADER + "u,i,view,2020-01-03\n")  # the same name, other content
    assert take_in(settings)["batches"] == 1
    assert [batch["file"] for batch in list_batches(settings.root)].count("events/first.csv") == 2

    first.unlink()  # tidied away: the lake keeps its events
    assert take_in(settings)["batches"] == 0
    assert list((settings.root / "intake").iterdir()) == []


def test_lake_files_have_the_columns_of_the_contract_and_lie_sorted(
    settings_for: Callable[..., Settings], land: Land
) -> None:
    rows = "".join(f"u{n},i,view,2020-01-{1 + n * 7 % 28:02}\n" for n in range(28))
    land("events/events.csv", HEADER + rows)
    land("items/items.csv", "item_id,title,updated_at\ni,A title,2020-01-01\n")
    settings = settings_for()
    take_in(settings)
    ids = [batch["batch_id"] for batch in list_batches(settings.root)]
    (events,), (items,) = lake_files(settings.root, ids)
    for file, columns in ((events, LAKE_EVENTS), (items, LAKE_ITEMS)):
        described = duckdb.execute(f"describe from '{file}'").fetchall()
        assert [(name, kind.lower()) for name, kind, *_ in described] == [(c.name, c.type) for c in columns]
    times = [at for (at,) in duckdb.execute(f"select event_at from '{events}'").fetchall()]
    assert times == sorted(times)
    assert duckdb.execute(f"select distinct source, batch_id in {tuple(ids)} from '{events}'").fetchall() == [
        ("canonical", True)
    ]
    with pytest.raises(FileNotFoundError, match="0123456789abcdef"):
        lake_files(settings.root, ["0123456789abcdef"])


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (None, ["landing folder", "does not exist"]),
        ({"items/items.csv": "item_id\n1\n"}, ["table 'events'", "events/**/*"]),
        (
            {"events/e.csv": "user_id,item_id,when\nSECRET,i,now\n"},
            ["events/e.csv", "'event_type', 'event_at'", "found user_id, item_id, when"],
        ),
        (
            {"events/e.jsonl": '{"user_id": "SECRET", "event_at": "2020"}\n'},
            ["events/e.jsonl", "'item_id', 'event_type'"],
        ),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(
    files: dict[str, str] | None, expected: list[str], settings_for: Callable[..., Settings], land: Land
) -> None:
    for name, content in (files or {}).items():
        land(name, content)
    settings = settings_for()
    with pytest.raises(LandingError) as caught:
        take_in(settings)
    for part in ["source 'canonical'", *expected]:
        assert part in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert list_batches(settings.root) == []
    assert not (settings.root / "lake").exists()


def test_a_retyped_column_stops_the_intake(
    settings_for: Callable[..., Settings], land_parquet: Callable[[str, str], Path]
) -> None:
    columns = (
        "'1' as InvoiceNo, '2' as StockCode, 'd' as Description, 1.0 as UnitPrice, 1.0 as CustomerID, 'UK' as Country"
    )
    land_parquet("lines.parquet", f"select {columns}, 'six' as Quantity, timestamp '2011-01-01' as InvoiceDate")
    settings = settings_for("online_retail")
    with pytest.raises(LandingError, match=r"lines\.parquet, column 'Quantity': expected bigint, found varchar"):
        take_in(settings)
    assert list_batches(settings.root) == []


def test_an_intake_that_comes_second_leaves_the_first_ones_batch(
    settings_for: Callable[..., Settings], land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    land("events/e.csv", HEADER + ROW + ",i,view,2020-01-01\n")
    settings = settings_for()
    original = batches.sync
    first = {}

    def overtaken(path: Path) -> None:
        if not first:
            monkeypatch.setattr(batches, "sync", original)
            first.update(take_in(settings, landed_at=datetime(2021, 1, 1, tzinfo=UTC)))
        original(path)

    monkeypatch.setattr(batches, "sync", overtaken)
    second = take_in(settings, landed_at=datetime(2022, 1, 1, tzinfo=UTC))
    assert (first["batches"], second["batches"], second["rows_read"]) == (1, 0, 0)
    assert [batch["landed_at"] for batch in list_batches(settings.root)] == ["2021-01-01T00:00:00+00:00"]
    assert list((settings.root / "intake").iterdir()) == []


def test_two_intakes_at_once_leave_one_batch_for_each_file(settings_for: Callable[..., Settings], land: Land) -> None:
    for n in range(6):
        land(f"events/{n}.csv", HEADER + f"u{n},i,view,2020-01-01\n,i,view,2020-01-01\n")
    settings = settings_for()
    code = (
        "import sys; from embeddings.settings import Settings; from tideline.intake import take_in;"
        "print(take_in(Settings(source='canonical', home=sys.argv[1], landing=sys.argv[2]))['batches'])"
    )
    command = [sys.executable, "-c", code, str(settings.root), str(settings.landing_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum(int(out) for out, _ in outputs) == 6
    added = list_batches(settings.root)
    assert sorted(batch["file"] for batch in added) == [f"events/{n}.csv" for n in range(6)]
    assert {(b["rows_read"], b["accepted"], b["quarantined"]) for b in added} == {(2, 1, 1)}
    assert sorted(path.stem for path in (settings.root / "quarantine").iterdir()) == sorted(
        b["batch_id"] for b in added
    )
    assert list((settings.root / "intake").iterdir()) == []
    assert take_in(settings)["batches"] == 0


def test_a_clock_that_was_put_back_does_not_let_a_later_batch_come_first(
    settings_for: Callable[..., Settings], land: Land
) -> None:
    land("events/first.csv", HEADER + ROW)
    settings = settings_for()
    take_in(settings, landed_at=datetime(2099, 2, 1, tzinfo=UTC))
    land("events/second.csv", HEADER + ROW.replace("view", "purchase"))

    take_in(settings)

    assert [batch["file"] for batch in list_batches(settings.root)] == ["events/first.csv", "events/second.csv"]

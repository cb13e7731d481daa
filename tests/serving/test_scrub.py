"""The scrub finds a bit that turned over in a snapshot or a run's table, and publishing a damaged run is refused."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from embeddings import checksums
from tideline.recording import KEPT_FILES
from tideline.serving import publish
from tideline.serving.scrub import DamagedError, check_inputs, scrub

NIGHT = datetime(2024, 6, 1, tzinfo=UTC)


def flip(file: Path, place: int) -> None:
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.chmod(0o644)
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_snapshot_is_found_damaged_or_still_says_the_same(room) -> None:
    publish(room.make_run("nightly", NIGHT, {f"u{n}": 1.0 for n in range(400)}), room.settings)
    assert scrub(room.settings).counts["snapshot"] == 1
    (file,) = (room.settings.root / "serving").glob("snap_*.duckdb")
    whole, asked = file.read_bytes(), "select * from recommendations order by all"
    told = room.ask(asked)
    chance = random.Random(1)
    found = 0
    for _ in range(15):
        flip(file, chance.randrange(len(whole)))
        findings = scrub(room.settings).findings
        found += bool(findings)
        if not findings:
            assert room.ask(asked) == told, "damage that the scrub does not see must not be seen by readers"
        file.write_bytes(whole)
    assert found, "no place was hit that matters"


def test_a_damaged_table_is_found_and_its_run_is_not_published(room) -> None:
    run = room.make_run("nightly", NIGHT, {"u1": 1.0})
    run.tables.mkdir()
    duckdb.execute(f"copy (select range from range(1000)) to '{run.tables / 'dim_items.parquet'}' (format parquet)")
    checksums.record(run.path, KEPT_FILES)
    assert check_inputs(run) == 1
    publish(run, room.settings)
    assert scrub(room.settings).findings == []

    flip(run.tables / "dim_items.parquet", 300)

    (finding,) = scrub(room.settings).findings
    assert finding.kind == "run"
    assert finding.file == f"runs/{run.run_id}/tables/dim_items.parquet"
    with pytest.raises(DamagedError, match=r"dim_items.parquet changed on the disk.*clear the run"):
        check_inputs(run)

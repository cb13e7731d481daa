"""Whatever byte of a recorded file changes on the disk, it is found; what is new, rewritten or gone is not damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.checksums import SUMS, damaged, record


def flip(file: Path, place: int, bit: int = 0) -> None:
    """Turn a bit over as a disk does: size and time of change stay."""
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[place] ^= 1 << bit
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@given(content=st.binary(min_size=1, max_size=200), place=st.integers(0, 199), bit=st.integers(0, 7))
def test_any_bit_turned_over_is_found_and_not_forgiven(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for name in ("a.parquet", "b.parquet"):
        (folder / name).write_bytes(content)
    assert record(folder, ["*.parquet"]) == 2
    assert damaged(folder) == (2, [])

    flip(folder / "b.parquet", place % len(content), bit)

    assert record(folder, ["*.parquet"]) == 0, "a damaged file must not be recorded as it is now"
    assert damaged(folder) == (2, ["b.parquet"])


def test_what_is_written_anew_is_recorded_anew_and_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.parquet").write_text("old")
    (tmp_path / "other.txt").write_text("other")
    record(tmp_path, ["tables/*.parquet"])
    (tmp_path / "tables" / "a.parquet").write_text("newer")
    (tmp_path / "other.txt").write_text("changed")

    assert record(tmp_path, ["tables/*.parquet"]) == 1
    assert damaged(tmp_path) == (1, [])

    (tmp_path / "tables" / "a.parquet").unlink()
    assert damaged(tmp_path) == (0, [])
    record(tmp_path, ["tables/*.parquet"])
    assert (tmp_path / SUMS).read_text() == "{}"


def test_damaged_checksums_are_damage_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("a")
    record(tmp_path, ["*.parquet"])
    flip(tmp_path / SUMS, 0)

    assert damaged(tmp_path)[1] == [SUMS]
    assert damaged(tmp_path / "nothing was ever recorded here") == (0, [])

"""What the stages of a night cannot do without: reading their input once, one exact pass, writing their output once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from embeddings.settings import Settings

BLOCK = 1 << 24


@dataclass(frozen=True)
class Floor:
    """A piece of bare work, and what it takes here and now."""

    name: str
    seconds: float


def measure_floors(home: Path, run: Path, settings: Settings) -> tuple[dict[str, Floor], int]:
    """Return the floors of the stages that have one, and the number of ranking rows.

    Parameters
    ----------
    home
        Of a night that was published.
    run
        The night's folder.
    """
    landed = [*(home / "landing").rglob("*.parquet")]
    lake = [*(home / "lake").rglob("*.parquet")]
    windows = [run / "tables" / f"{window}_window_behaviour.parquet" for window in ("long", "short")]
    vectors = run / "vectors" / "user_vectors.parquet"
    scored = sorted((run / "scored").glob("*.parquet"))
    snapshot = (home / "serving" / "current.duckdb").resolve()
    users, items = (pq.read_metadata(run / "tables" / f"dim_{kind}.parquet").num_rows for kind in ("users", "items"))
    reads = {
        "take_in": landed,
        "check_staging": lake,
        "build_behaviour": lake,
        "check_behaviour": windows,
        "fuse_interests": windows,
        "build_marts": scored,
        "check_recommendations": scored,
    }
    floors = {
        stage: Floor(f"reading {_size(files):,} bytes of Parquet once", _read(files, settings))
        for stage, files in reads.items()
    }
    floors["rank"] = _exact_pass(users, items, vectors, settings)
    size = snapshot.stat().st_size
    floors["publish"] = Floor(f"writing {size:,} bytes once", _write(snapshot.with_name(".floor"), size))
    return floors, sum(pq.read_metadata(file).num_rows for file in scored)


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _read(files: list[Path], settings: Settings) -> float:
    """Return the seconds of reading every value of files of several schemas once."""
    import duckdb

    started = time.perf_counter()
    with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as connection:
        for file in files:
            connection.execute("select bit_xor(hash(t)) from read_parquet($1) as t", [str(file)]).fetchall()
    return time.perf_counter() - started


def _exact_pass(users: int, items: int, vectors: Path, settings: Settings) -> Floor:
    """Return one product of all users and items at the rate of this machine's faster precision."""
    from embeddings.retrieval.rates import product_rates

    column = pq.read_schema(vectors).field("fused").type
    operations = 2 * users * items * column.list_size
    rate = max(product_rates(settings.threads).values())
    return Floor(f"one exact pass, {operations / 1e12:,.3g} TFLOP", operations / rate)


def _write(file: Path, size: int) -> float:
    content = bytes(BLOCK)
    started = time.perf_counter()
    with file.open("wb", buffering=0) as stream:
        for first in range(0, size, BLOCK):
            stream.write(content[: size - first])
    seconds = time.perf_counter() - started
    file.unlink()
    return seconds

"""`make bench-windows`: users a second for window vectors and fusion on generated events, peak memory, and the floor.

The floor is what cannot be left out: the bare product of shares and item vectors, and writing as many bytes.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.settings import Settings
from tideline.commands.bench_gates import peak_megabytes
from tideline.report import print_table, row, write_report

SQL = Path(__file__).with_name("bench_windows.sql")
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = ("long_window_behaviour", "short_window_behaviour")
SEED = 0
WRITE_BYTES = 1 << 24


def bench_windows(settings: Settings, users: int, items: int, events: int) -> None:
    """Print and report what `interest_vectors` costs, beside the bare product and a plain write of the same bytes.

    The work runs in a process of its own, as a task of Airflow does; generating the events is not timed.

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    if min(users, items, events) < 1:
        raise ValueError(f"users, items and events must be at least 1, got {users}, {items} and {events}")
    settings.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="bench-") as scratch:
        print(f"Generating {events:,} events of {users:,} users with {items:,} items ...")
        generate(Path(scratch), settings, users, items, events)
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(_measure, Path(scratch), settings).result()
            fusing = pool.submit(_time_fusion, Path(scratch), settings).result()
            multiplying, multiplying_cpu = pool.submit(_time_product, Path(scratch), settings).result()
            (Path(scratch) / "vectors" / "user_vectors.parquet").unlink()
            writing = pool.submit(_time_write, Path(scratch), int(found["bytes_written"])).result()
    ours, fusion = f"window vectors and fusion, {settings.threads} threads", "fusion alone, one thread"
    product, write = "bare product, one thread", "plain write of the same bytes"
    figures = [
        row("users_per_second", ours, round(users / found["seconds"]), "users/s"),
        row("users_per_second", fusion, round(users / fusing), "users/s"),
        row("seconds", ours, round(found["seconds"], 3), "s", product, multiplying),
        row("seconds", ours, round(found["seconds"], 3), "s", write, writing),
        row("seconds", product, round(multiplying, 3), "s"),
        row("seconds", write, round(writing, 3), "s"),
        row("seconds", fusion, round(fusing, 3), "s"),
        row("cpu_seconds", ours, round(found["cpu"], 3), "s", product, multiplying_cpu),
        row("peak_memory", ours, round(found["peak"], 1), "MiB"),
        row("peak_memory", "the same process before", round(found["before"], 1), "MiB"),
        row("bytes_read", ours, int(found["bytes_read"]), "B"),
        row("bytes_written", ours, int(found["bytes_written"]), "B"),
    ]
    print_table(f"Window vectors: {users:,} users, {items:,} items, {events:,} events", figures)
    print(f"Written: {write_report('bench-windows', figures, settings)}")


def generate(folder: Path, settings: Settings, users: int, items: int, events: int) -> None:
    """Write `tables` and `vectors` of a run below `folder`, as the warehouse and the encoder write them."""
    import duckdb

    from embeddings.model import describe_model
    from embeddings.vector_files import ROW_GROUP, to_column, vector_schema, writing

    (folder / "tables").mkdir()
    config = {"threads": settings.threads, "memory_limit": settings.memory_limit, "preserve_insertion_order": False}
    with duckdb.connect(str(folder / "generated.duckdb"), config=config) as connection:
        connection.execute("set enable_progress_bar = false")
        for name, value in {"users": users, "items": items, "events": events}.items():
            connection.execute(f"set variable {name} = ?", [value])
        connection.execute(SQL.read_text())
        for table in ("dim_users", *WINDOWS):
            file = str(folder / "tables" / f"{table}.parquet").replace("'", "''")
            connection.execute(f"copy (from {table} order by all) to '{file}' (format parquet, compression zstd)")
        ids = connection.execute("from dim_items order by all").to_arrow_table()["item_id"].combine_chunks()
    (folder / "generated.duckdb").unlink()
    model = describe_model(settings)
    random = np.random.default_rng(SEED)
    schema = vector_schema("item_id", model.dimension, model.model_id)
    with writing(folder / "vectors" / "item_vectors.parquet", schema) as writer:
        for first in range(0, len(ids), ROW_GROUP):
            part = ids[first : first + ROW_GROUP]
            vectors = random.standard_normal((len(part), model.dimension), dtype=np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            writer.write_table(pa.table([part.cast(pa.string()), to_column(vectors)], schema=schema))
    schema = vector_schema("event_id", model.dimension, model.model_id)
    with writing(folder / "vectors" / "event_vectors.parquet", schema) as writer:
        writer.write_table(schema.empty_table())


def _measure(folder: Path, settings: Settings) -> dict[str, float]:
    from embeddings.windows import interest_vectors

    before, read = peak_megabytes(), _bytes_read()
    started, cpu = time.perf_counter(), time.process_time()
    interest_vectors(folder / "tables", folder / "vectors", AS_OF, settings)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "before": before,
        "peak": peak_megabytes(),
        "bytes_read": _bytes_read() - read,
        "bytes_written": (folder / "vectors" / "user_vectors.parquet").stat().st_size,
    }


def _time_fusion(folder: Path, settings: Settings) -> float:
    """Return the seconds of the fusion of what was written, block by block in one thread, reading left out."""
    from embeddings.fusion.fixed import fuse
    from embeddings.vector_files import to_matrix

    seconds = 0.0
    with pq.ParquetFile(folder / "vectors" / "user_vectors.parquet") as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["long", "short"])
            units, has = [], []
            for column in table.columns:
                has.append(column.is_valid().to_numpy())
                units.append(np.zeros((len(table), column.type.list_size), dtype=np.float32))
                units[-1][has[-1]] = to_matrix(column.drop_null(), column.type.list_size)
            started = time.perf_counter()
            fuse(units[0], units[1], has[0], has[1], settings.fusion_gate)
            seconds += time.perf_counter() - started
    return seconds


def _time_product(folder: Path, settings: Settings) -> tuple[float, float]:
    """Return seconds, and seconds of the processor, of one thread's sparse products by blocks, in float32 alone."""
    from scipy.sparse import csr_array

    from embeddings.behaviour import read_window
    from embeddings.shares import cut_users
    from embeddings.vector_files import VectorFile
    from embeddings.windows import USERS_A_BLOCK

    items = VectorFile(folder / "vectors" / "item_vectors.parquet", "item_id")
    texts = VectorFile(folder / "vectors" / "event_vectors.parquet", "event_id")
    users = pq.read_table(folder / "tables" / "dim_users.parquet")["user_id"].combine_chunks()
    windows = [read_window(folder / "tables" / f"{name}.parquet", users, items, texts, 1).items for name in WINDOWS]
    vectors = items.take(np.arange(len(items.ids)))
    started, cpu = time.perf_counter(), time.process_time()
    for window in windows:
        for first, last in cut_users(window.starts, len(window.row), USERS_A_BLOCK):
            block = window.of(first, last)
            csr_array((block.share, block.row, block.starts), shape=(last - first, len(vectors))) @ vectors
    return time.perf_counter() - started, time.process_time() - cpu


def _time_write(folder: Path, size: int) -> float:
    """Return the seconds of writing `size` bytes to a new file; like the Parquet writer, nobody waits for the disk."""
    content = np.random.default_rng(SEED).bytes(WRITE_BYTES)
    started = time.perf_counter()
    with (folder / "plain").open("wb", buffering=0) as file:
        for first in range(0, size, WRITE_BYTES):
            file.write(content[: size - first])
    return time.perf_counter() - started


def _bytes_read() -> int:
    """Return the bytes that this process has asked the system for, from the disk or from its cache."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))

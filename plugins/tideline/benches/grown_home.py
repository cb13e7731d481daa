"""The base generation of a home with many users, written directly: grown from that of a small home, user by user.

A night over a small home gives every file its form. What an hour meets of a larger home, its lake, snapshot, table of
users and user vectors, is written as copies of the small home's users under other names. What was learned from
everybody stays that of the small home.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import duckdb
import pyarrow as pa

from embeddings.settings import Settings
from tideline.benches.hourly_shop import PREFIX, landed_at
from tideline.serving.tables import NIGHTLY_BY_USER, index_users

LEARNED_PARTS = ("long", "short", "text_near", "trend", "user", "own_history", "rhythm", "category")
"""Parts that a trained ranking has beside those of the fixed blend: in pairs that add up to nothing."""
ORDERED = {"nightly_recommendations": "user_id, rank", "user_interests": "user_id"}
OWNER = f"'{PREFIX}' || lpad((substr(user_id, {len(PREFIX) + 1})::bigint + $copy * $users)::varchar, 7, '0')"
"""The name of a user's copy, so that copies are in order, and the users of the small home come first."""


def grow(small: Settings, large: Settings, users: int, copies: int) -> None:
    """Make the home of `large`: that of `small`, which has `users` users and one published night, `copies` times."""
    shutil.copytree(small.root, large.root, symlinks=True)
    if copies == 1:
        return
    config = {"threads": large.threads, "memory_limit": large.memory_limit}
    for batch in (large.root / "lake" / "batches").iterdir():
        _grow_batch(batch, users, copies, config)
    for file in (large.root / "runs").glob("nightly-*/tables/dim_users.parquet"):
        _rewrite(file, "select * replace ({owner} as user_id)", "user_id", users, copies, config)
    generation, snapshot = _grow_snapshot(large.root, users, copies, config)
    for file in (large.root / "serving" / "generations").glob("*.json"):
        entry = json.loads(file.read_text())
        entry |= {"users": users * copies, "rows": entry["rows"] * copies, "snapshot_bytes": snapshot}
        file.write_text(json.dumps(entry))
    _grow_vectors(large, str(entry["vectors"]["model"]), generation, users, copies)


def deliver_over_time(root: Path) -> None:
    """Write into the records of the small home's batches that they landed one after another, not all at once."""
    for file in (root / "lake" / "batches").glob("*/batch.json"):
        record = json.loads(file.read_text())
        file.write_text(json.dumps(record | {"landed_at": landed_at(record["file"]).isoformat()}, indent=2))


def _grow_batch(batch: Path, users: int, copies: int, config: dict[str, object]) -> None:
    file = batch / "events.parquet"
    if not file.exists():
        return
    changed = "select * replace ({owner} as user_id, if(copy = 0, event_id, md5(event_id || copy)) as event_id)"
    _rewrite(file, changed, "event_at, event_id", users, copies, config)
    record = json.loads((batch / "batch.json").read_text())
    record |= {name: record[name] * copies for name in ("events", "rows_read", "accepted", "quarantined", "ignored")}
    (batch / "batch.json").write_text(json.dumps(record, indent=2))


def _rewrite(file: Path, changed: str, order: str, users: int, copies: int, config: dict[str, object]) -> None:
    """Write a Parquet file anew with all copies of its rows."""
    part = file.with_suffix(".part")
    chosen = changed.format(owner=OWNER.replace("$copy", "copy").replace("$users", str(users)))
    with duckdb.connect(config=config | {"temp_directory": str(file.parent / "spill")}) as connection:
        connection.execute(
            f"copy (select * exclude (copy) from ({chosen} from read_parquet({_text(file)}) "
            f"cross join range({copies}) as numbers(copy)) order by {order}) "
            f"to {_text(part)} (format parquet, compression zstd)"
        )
    part.replace(file)


def _grow_snapshot(root: Path, users: int, copies: int, config: dict[str, object]) -> tuple[str, int]:
    """Append the rows of all copies to the current snapshot; return its generation and bytes."""
    from tideline.serving.pointer import current_snapshot, serving_folder

    snapshot = current_snapshot(serving_folder(root))
    assert snapshot is not None
    snapshot.path.chmod(0o644)
    with duckdb.connect(str(snapshot.path), config=config) as connection:
        connection.execute(f"drop index if exists {NIGHTLY_BY_USER}")
        for table, order in ORDERED.items():
            connection.execute(f"create temp table small as from {table} order by {order}")
            for copy in range(1, copies):
                connection.execute(f"insert into {table} {_copy_rows(table)}", {"copy": copy, "users": users})
            connection.execute("drop table small")
        index_users(connection)
        connection.execute("checkpoint")
    snapshot.path.chmod(0o444)
    return snapshot.generation, snapshot.path.stat().st_size


def _copy_rows(table: str) -> str:
    """Return the query of a copy's rows: other names, events and figures, so that they compress as real ones do."""
    if table == "user_interests":
        return f"select * replace ({OWNER} as user_id) from small"
    more = ", ".join(
        f"struct_pack(part := '{name}', value := {sign}long_score * factor / {3 + number // 2})"
        for number, (name, sign) in enumerate(zip(LEARNED_PARTS, cycle(("", "-")), strict=False))
    )
    return f"""
        select * exclude (factor) replace (
            {OWNER} as user_id,
            score * factor as score,
            list_transform(score_parts, lambda p: struct_pack(part := p.part, value := p.value * factor))
                || [{more}] as score_parts,
            list_transform(because, lambda e: struct_pack(
                event_id := md5(e.event_id || $copy), item_id := e.item_id, event_type := e.event_type,
                event_at := e.event_at, part := e.part, contribution := e.contribution * factor
            )) as because
        )
        from (select *, 1 + (hash(user_id, rank, $copy) % 100000) / 1e6 as factor from small)
    """


def _grow_vectors(settings: Settings, model: str, generation: str, users: int, copies: int) -> None:
    from embeddings.store import open_table
    from embeddings.table_files import USER_VECTORS

    table = open_table(settings, model, USER_VECTORS)
    assert table is not None
    small = table.to_arrow()
    numbers = [int(name.removeprefix(PREFIX)) for name in small["user_id"].to_pylist()]

    def batches() -> Iterator[pa.RecordBatch]:
        for copy in range(1, copies):
            names = pa.array([f"{PREFIX}{number + copy * users:07}" for number in numbers])
            place = small.schema.get_field_index("user_id")
            yield from small.set_column(place, "user_id", names).to_batches(max_chunksize=8192)

    table.add(pa.RecordBatchReader.from_batches(small.schema, batches()), on_bad_vectors="null")
    table.tags.update(generation, table.version)


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

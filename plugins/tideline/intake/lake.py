"""What the lake holds: batches, each in a folder of its own or, once old, in a pack of many; and how to read them.

```
lake/batches/<batch>/        batch.json, events.parquet, items.parquet, released.parquet
lake/batches/pack-<hash>/    pack.json, batches.jsonl (a line is a batch.json), and the Parquet files of all of them
```

A batch stays what it was: its id, its account and its rows, which name it in `batch_id`. While a batch is in a pack and
in a folder of its own too, the pack counts, and of two packs the one with more batches.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tideline.intake import quoting

PACK = "pack-"
RECORD, RECORDS = "batch.json", "batches.jsonl"
RELEASED = "released.parquet"
"""File of a release's batch: `batch_id` and `row_number` of the quarantined rows that it brings, and their `rule`."""
Batch = dict[str, Any]
"""The content of a `batch.json`."""


class Unit(NamedTuple):
    """A folder of the lake: one batch, or a pack."""

    folder: Path
    batches: tuple[Batch, ...]

    @property
    def is_pack(self) -> bool:
        """Whether it is a pack."""
        return self.folder.name.startswith(PACK)


def lake(root: Path) -> Path:
    """Folder of the batches."""
    return root / "lake" / "batches"


def list_units(root: Path) -> list[Unit]:
    """Return the folders of the lake, those with the most batches first, then by name."""
    single = [Unit(file.parent, (batch,)) for file in lake(root).glob(f"[!.]*/{RECORD}") if (batch := _read(file))]
    packs = [Unit(file.parent, _read_records(file)) for file in lake(root).glob(f"{PACK}*/{RECORDS}")]
    return sorted(single + packs, key=lambda unit: (-len(unit.batches), unit.folder.name))


def place_batches(units: Iterable[Unit]) -> dict[str, Unit]:
    """Return the folder that counts for each batch, by batch id."""
    places: dict[str, Unit] = {}
    for unit in units:
        for batch in unit.batches:
            places.setdefault(batch["batch_id"], unit)
    return places


def list_batches(root: Path) -> list[Batch]:
    """Return the `batch.json` of every batch, in the order they landed."""
    found = {batch["batch_id"]: batch for unit in reversed(list_units(root)) for batch in unit.batches}
    return sorted(found.values(), key=lambda batch: (batch["landed_at"], batch["batch_id"]))


def read_batches(root: Path, batch_ids: Iterable[str]) -> list[Batch]:
    """Return the `batch.json` of these batches, in their order.

    Raises
    ------
    FileNotFoundError
        If a batch is not in the lake.
    """
    units = list_units(root)
    known = {batch["batch_id"]: batch for unit in reversed(units) for batch in unit.batches}
    return [known[batch_id] for batch_id in _checked(root, batch_ids, known)]


def record_files(root: Path) -> list[Path]:
    """Return the files that hold the records of all batches, for DuckDB's `read_json` in format `unstructured`."""
    places = place_batches(list_units(root)).values()
    return sorted({unit.folder / (RECORDS if unit.is_pack else RECORD) for unit in places})


def lake_files(root: Path, batch_ids: Iterable[str]) -> tuple[list[Path], list[Path]]:
    """Return the Parquet files of events and of items of these batches, those without rows left out.

    A pack's file may hold rows of other batches: `lake_rows` leaves them out.
    """
    wanted = list(batch_ids)
    events, items = (_files_of(root, wanted, table) for table in ("events", "items"))
    return [file for file, _ in events], [file for file, _ in items]


def lake_rows(root: Path, batch_ids: Iterable[str], table: str) -> str | None:
    """Return the SQL of the rows of these batches, `table` being `events` or `items`; None where they have none.

    Raises
    ------
    FileNotFoundError
        If a batch is not in the lake.
    """
    parts = []
    files = _files_of(root, batch_ids, table)
    whole = [file for file, some in files if not some]
    if whole:
        parts.append(f"select * from read_parquet([{', '.join(quoting.text(file) for file in whole)}])")
    for file, some in files:
        if some:
            listed = ", ".join(quoting.text(batch_id) for batch_id in some)
            parts.append(f"select * from read_parquet({quoting.text(file)}) where batch_id in ({listed})")
    return " union all by name ".join(parts) or None


def _files_of(root: Path, batch_ids: Iterable[str], table: str) -> list[tuple[Path, list[str]]]:
    """Return the files with rows of these batches; for a pack of which only some are meant, which ones."""
    places = place_batches(list_units(root))
    found: dict[Path, tuple[Unit, list[str]]] = {}
    for batch_id in _checked(root, batch_ids, places):
        unit = places[batch_id]
        found.setdefault(unit.folder, (unit, []))[1].append(batch_id)
    filled = {
        folder: (having, [batch_id for batch_id in some if batch_id in having])
        for folder, (unit, some) in found.items()
        if (having := {batch["batch_id"] for batch in unit.batches if batch[table]})
    }
    return [
        (folder / f"{table}.parquet", some if len(some) < len(having) else [])
        for folder, (having, some) in filled.items()
        if some
    ]


def _checked(root: Path, batch_ids: Iterable[str], known: Container[str]) -> Iterator[str]:
    for batch_id in batch_ids:
        if batch_id not in known:
            raise FileNotFoundError(
                f"batch {batch_id} is not in {lake(root)}: the lake of this home was changed by hand"
            )
        yield batch_id


def _read(file: Path) -> Batch | None:
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:  # its batch is in a pack by now, and its own folder went away
        return None


def _read_records(file: Path) -> tuple[Batch, ...]:
    try:
        return tuple(json.loads(line) for line in file.read_text().splitlines())
    except FileNotFoundError:
        return ()

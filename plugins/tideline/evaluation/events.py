"""Events as they were known at an instant: what dbt's models count, what was taken back until then left out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.settings import Settings
from tideline import dbt, warehouse
from tideline.intake import list_batches
from tideline.run import Run, name_run
from tideline.window import window_ending

SELECT = ("+int_events__in_scope",)
WITHOUT = ("resource_type:test", "resource_type:unit_test")
QUERY = """
    select user_id, item_id, event_at, weight::double as weight
    from int_events__in_scope where item_id is not null order by event_at, event_id
"""


def known_events(settings: Settings, instant: datetime, variables: Mapping[str, Any] | None = None) -> pa.Table:
    """Return the events of interest with an item that lie before an instant (UTC), as a run of that `as_of` counts them.

    Built by the same dbt models as a run's, in a scratch warehouse, and kept below `<root>/evaluation/events/`: another
    call with the same batches, models and vars reads it from there.

    Returns
    -------
    pa.Table
        user_id, item_id, event_at (UTC), weight (above 0), in the order of time.
    """
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    variables = dict(settings.vars if variables is None else variables)
    batches = [batch["batch_id"] for batch in list_batches(settings.root)]
    inputs = json.dumps([instant.isoformat(), settings.source, variables, batches, dbt.digest_project()], sort_keys=True)
    folder = settings.root / "evaluation" / "events"
    file = folder / f"{instant:%Y%m%dT%H%M%S%fZ}-{sha256(inputs.encode()).hexdigest()[:8]}.parquet"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _build(settings, instant, variables, batches, file)
    return pq.read_table(file)


def _build(settings: Settings, instant: datetime, variables: dict[str, Any], batches: list[str], file: Path) -> None:
    window = window_ending("nightly", instant)
    run = Run(
        name_run(window, f"evaluation {os.getpid()}"),
        window,
        settings.root,
        settings.source,
        vars=variables,
        batches=tuple(batches),
        generation="evaluation",
    )
    try:
        warehouse.prepare(run, settings)
        dbt.build(
            run.warehouse,
            select=SELECT,
            exclude=WITHOUT,
            source=run.source,
            vars=run.vars,
            target_path=run.path / "dbt",
            cache=settings.root / "cache" / "dbt",
            settings=settings,
        )
        with duckdb.connect(str(run.warehouse), read_only=True) as connection:
            events = connection.execute(QUERY).to_arrow_table()
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        pq.write_table(events, part, compression="zstd")
        part.replace(file)
    finally:
        shutil.rmtree(run.path, ignore_errors=True)

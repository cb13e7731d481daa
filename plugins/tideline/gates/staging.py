"""Suite `staging`: what came in. Reads the records and the Parquet of the run's pinned batches."""

from __future__ import annotations

import csv

import duckdb
import yaml

from embeddings.settings import Settings
from tideline import contracts
from tideline.dbt import PROJECT
from tideline.gates import past
from tideline.gates.aggregates import quoted, read_row, read_sql
from tideline.gates.measures import Measure, Value
from tideline.intake.lake import lake_rows
from tideline.run import Run

FILES = "from read_json('{lake}/*/batch.json')"
EVENTS = "from read_parquet('{lake}/*/events.parquet')"
ITEMS = "from read_parquet('{lake}/*/items.parquet')"

MEASURES = (
    Measure(
        "files_that_do_not_add_up",
        "of every file, the rows read are the accepted, the quarantined and the ignored ones",
        f"select file, rows_read, accepted, quarantined, ignored {FILES} "
        "where rows_read is distinct from accepted + quarantined + ignored",
    ),
    Measure(
        "files_that_differ_from_lake",
        "of every file, the lake holds the events and items that its record counts",
        f"select batch_id, file, events, items {FILES}",
    ),
    Measure("empty_files", "every file has rows", f"select file, landed_at {FILES} where rows_read = 0"),
    Measure("unreadable_files", "every file can be read", f"select file, reasons {FILES} where accepted = 0"),
    Measure(
        "quarantined_share",
        "few of the rows that came in are quarantined",
        f"select file, rows_read, quarantined, reasons {FILES} where quarantined > 0 order by quarantined desc",
        rows="quarantined",
    ),
    Measure(
        "duplicate_share",
        "few of the events that came in have the id of another one",
        f"select event_id, count(*) {EVENTS} group by event_id having count(*) > 1 order by count(*) desc",
        rows="duplicates",
    ),
    Measure(
        "null_value_share",
        "the events have a value",
        f"select event_type, count(*) {EVENTS} where event_value is null group by event_type",
        rows="null_values",
    ),
    Measure(
        "null_title_share",
        "the items have a title",
        f"select item_id {ITEMS} where title is null",
        rows="null_titles",
    ),
    Measure(
        "unknown_item_share",
        "few of the events are of an item that no item file describes",
        f"select item_id, count(*) {EVENTS} where item_id not in (select item_id {ITEMS}) group by item_id",
        rows="unknown_items",
    ),
    Measure(
        "unknown_type_share",
        "every event type has a weight in the seed event_weights or in the var event_type_weights",
        f"select event_type, count(*) {EVENTS} group by event_type",
        rows="unknown_types",
    ),
    Measure(
        "placeholder_date_share",
        "few of the events are of 1970-01-01 or 1900-01-01, which stand for a date that nobody knew",
        f"select event_at::date, event_type, count(*) {EVENTS} "
        "where event_at::date in (date '1970-01-01', date '1900-01-01') group by all",
        rows="placeholder_dates",
    ),
    Measure("events", "there are events before as_of", f"select min(event_at), max(event_at), count(*) {EVENTS}"),
    Measure(
        "newest_event_age_days",
        "the newest event is fresh, in days before as_of",
        f"select batch_id, max(event_at) {EVENTS} group by batch_id order by 2 desc",
        rows="events",
    ),
    *past.MEASURES,
)


def measure(run: Run, settings: Settings) -> dict[str, Value]:
    """Return the aggregates over what is new to this run; volume and freshness over all its batches.

    What no committed run has used is new. Where nothing is marked new, a nightly, or an hour without a nightly before
    it, is judged on all its batches; any other hour without new batches has nothing to judge.
    """
    first = run.of_everyone or run.base is None
    incoming = run.new_batches or (run.batches if first else ())
    with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as connection:
        past.load_records(connection, "files", run.root, incoming)
        events, items = contracts.LAKE_EVENTS, contracts.LAKE_ITEMS
        past.show(connection, "events", events, lake_rows(run.root, incoming, "events"))
        past.show(connection, "items", items, lake_rows(run.root, incoming, "items"))
        past.show(connection, "pinned_events", events, lake_rows(run.root, run.batches, "events"))
        past.show(connection, "known_items", items, lake_rows(run.root, run.batches, "items"))
        as_of = run.window.as_of.replace(tzinfo=None)
        given = {"types": sorted(known_types(run)), "as_of": as_of, "nightly": run.of_everyone}
        values = read_row(connection, read_sql("staging"), given)
        return {**values, **past.measure(connection, run, tuple(incoming))}


def known_types(run: Run) -> set[str]:
    """Event types that have a weight: in the seed, or in the settings of the source or of the run."""
    with (PROJECT / "seeds" / "event_weights.csv").open(newline="") as stream:
        types = {row["event_type"] for row in csv.DictReader(stream)}
    dbt_vars = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    for settings in (dbt_vars["defaults"], dbt_vars["source_defaults"].get(run.source) or {}, run.vars):
        types |= set(settings.get("event_type_weights") or {})
    return types


def look_further(measure: Measure, run: Run) -> str:
    """SQL for any DuckDB prompt that shows the rows concerned."""
    return measure.query.format(lake=quoted(run.root / "lake" / "batches")) + ";"

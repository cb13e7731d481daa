"""Columns of the tables that Python writes: name, DuckDB type and meaning. Tables of dbt have contracts in YAML."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column: its name, its DuckDB type, what it means."""

    name: str
    type: str
    comment: str


LAKE_EVENTS = (
    Column("event_id", "varchar", "Unique id; derived from all raw columns where the source has none."),
    Column("user_id", "varchar", "The user who acted."),
    Column("item_id", "varchar", "The item acted on; null for a search."),
    Column("event_type", "varchar", "view, purchase, rating, review, search or a type of the user's own."),
    Column("event_at", "timestamp", "When it happened, UTC."),
    Column("event_value", "double", "Rating or quantity; nullable."),
    Column("event_text", "varchar", "Review or query; nullable."),
    Column("source", "varchar", "Name of the source."),
    Column("landed_at", "timestamp", "When its batch was taken in, UTC."),
    Column("generation", "varchar", "For an exposure or a click: the generation that was shown."),
    Column("batch_id", "varchar", "The immutable batch that holds the row."),
)

LAKE_ITEMS = (
    Column("item_id", "varchar", "The item."),
    Column("title", "varchar", "Title; nullable."),
    Column("description", "varchar", "Description; nullable."),
    Column("category", "varchar", "Category, or several joined by '|'; nullable."),
    Column("available_from", "timestamp", "First instant the item may be recommended; null means unbounded."),
    Column("available_until", "timestamp", "Instant from which it may not; null means unbounded."),
    Column("updated_at", "timestamp", "When this version was written at the source; nullable."),
    Column("landed_at", "timestamp", "When its batch was taken in, UTC."),
    Column("batch_id", "varchar", "The immutable batch that holds the row."),
)

QUARANTINE = (
    Column("batch_id", "varchar", "The batch the row came with."),
    Column("table_name", "varchar", "events or items."),
    Column("file", "varchar", "Landing file, relative to the landing folder."),
    Column("row_number", "bigint", "1-based data row in the file; null where the whole file is refused."),
    Column("rule", "varchar", "The first rule that the row breaks."),
    Column("reason", "varchar", "What is wrong, in a sentence without personal text."),
    Column("raw", "varchar", "The raw row as JSON. Private."),
    Column("landed_at", "timestamp", "When its batch was taken in, UTC."),
)

USER_VECTORS = (
    Column("user_id", "varchar", "The user."),
    Column("long", "float[]", "Unit vector of the long window; null without events in it."),
    Column("short", "float[]", "Unit vector of the short window; null without events in it."),
    Column("fused", "float[]", "Unit vector of gate * long + (1 - gate) * short; null without both."),
    Column("gate", "double", "Weight of the long vector, 0 to 1; null without vectors."),
    Column("long_norm", "double", "Norm of the weighted mean before it was made a unit vector."),
    Column("short_norm", "double", "The same for the short window."),
    Column("fused_norm", "double", "Norm of gate * long + (1 - gate) * short."),
    Column("as_of", "timestamp", "The instant the run may know up to."),
    Column("model", "varchar", "Identity of the vectors: encoder, and the version that joins behaviour."),
)

ITEM_VECTORS = (
    Column("item_id", "varchar", "The item."),
    Column(
        "vector",
        "float[]",
        "Unit vector of the item: of who had it and of its text where a trained version joins both, else of its text.",
    ),
    Column("model", "varchar", "Identity of the vectors: encoder, and the version that joins behaviour."),
)

SCORED = (
    Column("user_id", "varchar", "The user."),
    Column("rank", "integer", "1-based position, no gaps."),
    Column("item_id", "varchar", "The recommended item."),
    Column("score", "double", "The score the list is ordered by."),
    Column("long_score", "double", "Cosine of the item with the long-term vector; null without one."),
    Column("short_score", "double", "Cosine of the item with the short-term vector; null without one."),
    Column("score_parts", "struct(part varchar, value double)[]", "Parts that sum to the score, base among them."),
    Column("rules", "struct(rule varchar, effect varchar)[]", "Rules that changed this row."),
    Column("reason", "varchar", "Why, in a sentence."),
    Column(
        "because",
        "struct(event_id varchar, item_id varchar, event_type varchar, event_at timestamp, part varchar, "
        "contribution double)[]",
        "The user's own events with their signed contribution to the named part.",
    ),
    Column("candidate_sources", "varchar[]", "Candidate sources that proposed the item."),
    Column("model_version", "varchar", "Ranker and encoder that made the row."),
)

SHOWN = (
    Column("generation", "varchar", "The generation that recommended it."),
    Column("user_id", "varchar", "The user."),
    Column("item_id", "varchar", "The recommended item."),
    Column("rank", "integer", "1-based position in the user's list."),
    Column("candidate_sources", "varchar[]", "Candidate sources that proposed the item."),
    Column("model_version", "varchar", "Ranker and encoder that made the row."),
)

RUN_HISTORY = (
    Column("generation", "varchar", "The generation that the run built."),
    Column("kind", "varchar", "nightly or hourly."),
    Column("window_start", "timestamp", "First instant of the window, UTC."),
    Column("window_end", "timestamp", "End of the window, exclusive, UTC."),
    Column("as_of", "timestamp", "The instant the run may know up to, UTC."),
    Column("committed_at", "timestamp", "When it was committed (wall clock), UTC."),
    Column("is_current", "boolean", "Whether it is a layer of this snapshot."),
    Column("fence", "bigint", "Fencing number of the commit."),
    Column("rows_hash", "varchar", "Hash of the layer's ordered rows."),
    Column("users", "bigint", "Users with rows in the layer."),
    Column("rows", "bigint", "Recommendation rows in the layer."),
    Column(
        "accepted",
        "bigint",
        "Accepted events that the run answers for; the sum of the next seven. Of an hour: its users'.",
    ),
    Column("used", "bigint", "Of them, those in the long or the short window."),
    Column("outside_windows", "bigint", "Those before the long window: in history and popularity only."),
    Column("not_yet_due", "bigint", "Those at or after as_of: they wait in the lake."),
    Column("too_late", "bigint", "Those that landed later than the lookback allows: left out everywhere."),
    Column("duplicates", "bigint", "Those whose event id a row that landed earlier holds."),
    Column("taken_back", "bigint", "Those that a later event, as a cancellation, takes back whole."),
    Column("no_interest", "bigint", "Those of a type with weight 0."),
    Column("seconds", "double", "Seconds in the run's stages, commit excluded."),
    Column("vars", "varchar", "dbt vars given for this run, as JSON."),
    Column("stages", "struct(stage varchar, seconds double, peak_mb double)[]", "Time and peak memory by stage."),
    Column("model_version", "varchar", "Ranker and encoder of the layer."),
)

QUALITY_METRICS = (
    Column("metric", "varchar", "Name of the metric, for example ndcg@10."),
    Column("subject", "varchar", "What was measured: model, cutoff, segment."),
    Column("value", "double", "The figure."),
    Column("unit", "varchar", "Its unit; null for a ratio."),
    Column("as_of", "timestamp", "The cutoff that it belongs to, UTC."),
    Column("generation", "varchar", "The generation that it belongs to."),
)


def ddl(columns: tuple[Column, ...]) -> str:
    """Column list for `create table`, in order."""
    return ", ".join(f'"{column.name}" {column.type}' for column in columns)

"""Suite `recommendations`: the marts, as readers would see them, against the behaviour they claim to rest on."""

from __future__ import annotations

from embeddings.settings import Settings
from tideline.gates.aggregates import query_warehouse, read_sql, read_warehouse
from tideline.gates.measures import Measure, Value
from tideline.run import Run

TOLERANCE = 1e-6
CITED = "(select user_id, event.* from (select user_id, unnest(because) as event from {layer}))"

MEASURES = (
    Measure("recommended_rows", "there are recommendations", "select count(*) from {layer}"),
    Measure(
        "rows_of_another_run",
        "every row has this run's generation and as_of",
        "select generation, as_of, count(*) from {layer} group by all",
    ),
    Measure(
        "users_with_rank_gaps",
        "a user's ranks are 1, 2, 3 and so on, at most top_k",
        "select user_id, list(rank order by rank) as ranks from {layer} group by user_id "
        "having ranks is distinct from range(1, count(*) + 1) or count(*) > (select top_k from run_settings)",
    ),
    Measure(
        "duplicate_items",
        "an item is at most once in a user's list",
        "select user_id, item_id, count(*) from {layer} group by all having count(*) > 1",
    ),
    Measure(
        "scores_not_finite",
        "every score is a finite number",
        "select user_id, rank, score from {layer} where score is null or not isfinite(score)",
    ),
    Measure(
        "scores_rising_with_rank",
        "scores do not rise with rank",
        "select user_id, rank, score from {layer} qualify score > lag(score) over (partition by user_id order by rank)",
    ),
    Measure(
        "parts_that_do_not_sum",
        f"score_parts sum to score within {TOLERANCE:g}",
        "select user_id, rank, score, score_parts from {layer} where coalesce("
        f"not abs(list_sum(list_transform(score_parts, lambda part: part.value)) - score) <= {TOLERANCE:g}, true)",
    ),
    Measure(
        "rows_of_users_out_of_scope",
        "only users in scope have rows",
        "select user_id, count(*) from {layer} where user_id not in (select user_id from dim_users) group by user_id",
    ),
    Measure(
        "users_without_rows",
        "every user in scope for whom an item is left has rows",
        "select user_id from dim_users where user_id not in (select user_id from {layer})",
    ),
    Measure(
        "users_short_of_rows",
        "a user has top_k rows (with a category_cap, at least so many), or all items that he may be shown",
        "select user_id, count(*) from {layer} group by user_id having count(*) < (select top_k from run_settings)",
    ),
    Measure(
        "citations_of_other_events",
        "because cites the user's own events of interest before as_of only",
        f"select * from {CITED} anti join int_events__in_scope as own using (user_id, event_id)",
    ),
    Measure(
        "citations_that_differ",
        "because tells item, type and time of an event as they are",
        "select cited.*, own.item_id as its_item_id, own.event_type as its_event_type, own.event_at as its_event_at "
        f"from {CITED} as cited join int_events__in_scope as own using (user_id, event_id) "
        "where (cited.item_id, cited.event_type, cited.event_at) "
        "is distinct from (own.item_id, own.event_type, own.event_at)",
    ),
    Measure(
        "citations_not_before_as_of",
        "because cites no event at or after as_of",
        f"select * from {CITED} where event_at is null or event_at >= {{as_of}}",
    ),
    Measure(
        "unknown_items",
        "every recommended item is in dim_items",
        "select distinct item_id from {layer} where item_id not in (select item_id from dim_items)",
    ),
    Measure(
        "unavailable_items",
        "every recommended item is available at as_of",
        "select item_id, count(*) from {layer} join dim_items using (item_id) "
        "where available_from > {as_of} or available_until <= {as_of} group by item_id",
    ),
    Measure(
        "blocked_items",
        "no recommended item, and none of the popular ones, is blocked",
        "select item_id, count(*) from "
        "(select item_id from {layer} union all select item_id from popular_recommendations "
        "union all select item_id from popular_by_category) "
        "join dim_items using (item_id) where is_blocked group by item_id",
    ),
    Measure(
        "seen_items",
        "where repeats are not allowed, no recommended item is in the user's history",
        "select user_id, item_id from {layer} semi join user_events using (user_id, item_id)",
    ),
    Measure(
        "popular_rows", "there are recommendations for unknown users", "select count(*) from popular_recommendations"
    ),
    Measure(
        "popular_by_category_rows",
        "where items have categories, there are popular items by category",
        "select count(*) from popular_by_category",
    ),
)


def measure(run: Run, settings: Settings) -> dict[str, Value]:
    """Return the aggregates over the run's own layer; an hour may have no rows."""
    given = {
        "as_of": run.window.as_of.replace(tzinfo=None),
        "generation": run.generation,
        "nightly": run.kind == "nightly",
        "tolerance": TOLERANCE,
    }
    return read_warehouse(run, settings, read_sql("recommendations").format(layer=f"{run.kind}_recommendations"), given)


look_further = query_warehouse

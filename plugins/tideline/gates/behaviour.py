"""Suite `behaviour`: the windows, users and items that dbt built in the run's warehouse."""

from __future__ import annotations

from embeddings.settings import Settings
from tideline.gates.aggregates import query_warehouse, read_sql, read_warehouse
from tideline.gates.measures import Measure, Value
from tideline.run import Run

WINDOWS = "(from long_window_behaviour union all by name from short_window_behaviour)"

MEASURES = (
    Measure("users_in_scope", "there are users in scope", "select count(*) from int_users__in_scope"),
    Measure(
        "users_that_differ_from_scope",
        "dim_users are exactly the users in scope",
        "select user_id from dim_users full join int_users__in_scope as scope using (user_id) "
        "where dim_users.user_id is null or scope.user_id is null",
    ),
    Measure(
        "window_users_out_of_scope",
        "the windows and the history hold users of dim_users only",
        f"select distinct user_id from (select user_id from {WINDOWS} union all select user_id from user_events) "
        "where user_id not in (select user_id from dim_users)",
    ),
    Measure(
        "events_outside_window",
        "every event of a window lies in [window_starts_at, window_ends_at)",
        f"select event_id, event_at, window_starts_at, window_ends_at from {WINDOWS} "
        "where not (event_at >= window_starts_at and event_at < window_ends_at) "
        "or event_at is null or window_starts_at is null or window_ends_at is null",
    ),
    Measure(
        "events_not_before_as_of",
        "no event of a window or of the history is at or after as_of",
        f"select event_id, event_at from {WINDOWS} where event_at >= {{as_of}} union all "
        "select event_id, event_at from user_events where event_at >= {as_of}",
    ),
    Measure(
        "weights_not_positive",
        "every weight is finite and above 0",
        f"select event_type, weight, count(*) from {WINDOWS} "
        "where weight is null or weight <= 0 or not isfinite(weight::double) group by all",
    ),
    Measure(
        "decay_out_of_range",
        "every decay, decay_weight / weight, is in (0, 1]",
        f"select event_id, weight, decay_weight from {WINDOWS} "
        "where decay_weight is null or decay_weight <= 0 or decay_weight > weight",
    ),
    Measure(
        "duplicate_window_events",
        "an event is at most once in a window",
        "select event_id, count(*) from long_window_behaviour group by event_id having count(*) > 1 union all "
        "select event_id, count(*) from short_window_behaviour group by event_id having count(*) > 1",
    ),
    Measure(
        "events_of_missing_items",
        "every item of a window or of the history is in dim_items",
        f"select item_id, count(*) from (select item_id from {WINDOWS} "
        "union all select item_id from user_events) "
        "where item_id not in (select item_id from dim_items) group by item_id",
    ),
)


def measure(run: Run, settings: Settings) -> dict[str, Value]:
    """Return the aggregates; an hour may have nobody in scope."""
    given = {"as_of": run.window.as_of.replace(tzinfo=None), "nightly": run.of_everyone}
    return read_warehouse(run, settings, read_sql("behaviour"), given)


look_further = query_warehouse

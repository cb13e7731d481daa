with
windows as (
    select 'long' as window_name, * from long_window_behaviour
    union all by name
    select 'short' as window_name, * from short_window_behaviour
),

of_users as (
    select
        if($nightly, count(scope.user_id), null) as users_in_scope,
        count(*) filter (where dim_users.user_id is null or scope.user_id is null) as users_that_differ_from_scope
    from dim_users
    full join int_users__in_scope as scope on dim_users.user_id = scope.user_id
),

of_windows as (
    select
        count(*) filter (where coalesce(event_at < window_starts_at or event_at >= window_ends_at, true))
            as events_outside_window,
        count(*) filter (where event_at >= $as_of) as late_events,
        count(*) filter (where coalesce(weight <= 0 or not isfinite(weight::double), true)) as weights_not_positive,
        count(*) filter (where coalesce(decay_weight <= 0 or decay_weight > weight, true)) as decay_out_of_range,
        count(*) filter (where user_id is null or user_id not in (select users.user_id from dim_users as users))
            as out_of_scope,
        count(*) filter (where item_id not in (select items.item_id from dim_items as items)) as missing_items
    from windows
),

of_ids as (
    select coalesce(sum(events - 1), 0) as duplicate_window_events
    from (select count(*) as events from windows group by window_name, event_id)
),

of_history as (
    select
        count(*) filter (where event_at >= $as_of) as late_events,
        count(*) filter (where user_id not in (select users.user_id from dim_users as users)) as out_of_scope,
        count(*) filter (where item_id not in (select items.item_id from dim_items as items)) as missing_items
    from user_events
)

select
    of_users.*,
    of_windows.out_of_scope + of_history.out_of_scope as window_users_out_of_scope,
    of_windows.events_outside_window,
    of_windows.late_events + of_history.late_events as events_not_before_as_of,
    of_windows.weights_not_positive,
    of_windows.decay_out_of_range,
    of_ids.duplicate_window_events,
    of_windows.missing_items + of_history.missing_items as events_of_missing_items
from of_users, of_windows, of_ids, of_history

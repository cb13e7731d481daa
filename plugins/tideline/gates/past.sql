with
known as (
    select *, false as is_new from past_files
    union all by name
    select *, $something_new as is_new from files
),

-- Files of items come at another pace than files of events, and are often the whole catalogue.
event_tables as (
    select distinct "table" as table_name
    from known
    where events > 0
),

deliveries as (
    select
        known.landed_at,
        known.is_new,
        sum(known.rows_read) as delivered,
        row_number() over (order by known.landed_at desc) as place
    from known
    where
        exists (select 1 from event_tables where table_name is not distinct from known."table")
        -- What is released from quarantine is no delivery: a few rows, some day.
        and known.kind is distinct from 'release'
    group by known.landed_at, known.is_new
),

of_deliveries as (
    select
        sum(delivered) filter (where is_new) as delivered_rows,
        median(delivered) filter (where is_usual) as usual_delivery_rows,
        if(
            count(*) filter (where is_usual) >= $fewest_deliveries,
            avg(delivered) filter (where is_new) / nullif(usual_delivery_rows, 0),
            null
        ) as delivery_ratio
    from (
        select
            *,
            -- The first delivery is a load of history, not a day like the others.
            not is_new
            and landed_at > (select min(landed_at) from deliveries)
            and place <= $remembered as is_usual
        from deliveries
    )
),

weeks as (
    select
        weeks_ago,
        $starts_at - to_days(7 * weeks_ago::integer) as starts_at,
        $as_of - to_days(7 * weeks_ago::integer) as ends_at
    from range($weeks + 1) as weeks (weeks_ago)
),

by_week as (
    select
        weeks.weeks_ago,
        count(pinned_events.event_at) as counted
    from weeks
    left join pinned_events
        on pinned_events.event_at >= weeks.starts_at and pinned_events.event_at < weeks.ends_at
        and pinned_events.event_at >= $starts_at - to_days(7 * $weeks::integer)
    where weeks.starts_at >= (select min(pinned_events.event_at) from pinned_events)
    group by weeks.weeks_ago
),

of_window as (
    select
        coalesce(sum(counted) filter (where weeks_ago = 0), 0) as window_events,
        median(counted) filter (where weeks_ago > 0) as usual_window_events,
        if(
            count(*) filter (where weeks_ago > 0) >= $fewest_deliveries and usual_window_events >= $fewest_rows,
            window_events / usual_window_events,
            null
        ) as window_volume_ratio
    from by_week
),

types_now as (
    select event_type, count(*) as counted, counted / sum(counted) over () as share, sum(counted) over () as total
    from events
    group by event_type
),

types_before as (
    select event_type, count(*) as counted, counted / sum(counted) over () as share, sum(counted) over () as total
    from past_events
    group by event_type
),

of_types as (
    select
        coalesce(max(types_now.total), 0) as new_events,
        if(
            max(types_now.total) >= $fewest_rows and max(types_before.total) >= $fewest_rows,
            sum(abs(coalesce(types_now.share, 0) - coalesce(types_before.share, 0))) / 2,
            null
        ) as event_type_distance
    from types_now
    full join types_before on types_now.event_type = types_before.event_type
),

of_repeats as (
    select
        count(*) as repeated_events,
        if(
            (select count(*) from events) >= $fewest_rows and (select count(*) from past_events) > 0,
            repeated_events / (select count(*) from events),
            null
        ) as repeated_share
    from events
    -- The same extract has the same times: ids of all other times are not looked through.
    semi join (
        select event_id from past_events
        where event_at >= $first_event_at and event_at <= $last_event_at
    ) as past_events on events.event_id = past_events.event_id
)

select
    of_deliveries.*,
    of_window.*,
    of_types.*,
    of_repeats.*
from of_deliveries, of_window, of_types, of_repeats

with
settings as (
    select * from {{ ref('run_settings') }}
),

batches as (
    select * from {{ source('run', 'batches') }}
),

too_late as (
    select * from {{ ref('int_batches__too_late') }}
),

users as (
    select user_id from {{ ref('int_users__in_scope') }}
),

-- A night answers for every pinned row; an hour for those of its users, the only ones that it reads.
landed as (
    select
        event_at,
        batch_id
    from {{ ref('int_events__of_users') }}
    union all
    select
        events.event_at,
        events.batch_id
    from {{ source('lake', 'events') }} as events
    cross join settings
    where
        settings.builds_item_tables
        and (settings.kind <> 'hourly' or events.user_id in (select users.user_id from users))
),

of_landed as (
    select
        count(*) as events,
        count(*) filter (where landed.event_at >= settings.as_of) as not_yet_due,
        count(*) filter (
            where landed.event_at < settings.as_of and landed.event_at < too_late.too_late_before
        ) as too_late
    from landed
    cross join settings
    left join too_late on landed.batch_id = too_late.batch_id
),

of_repeated as (
    select count(*) as duplicates
    from {{ ref('int_events__repeated') }} as repeated
    cross join settings
    where
        repeated.place > 1
        and (settings.kind <> 'hourly' or repeated.user_id in (select users.user_id from users))
),

taken_back as (
    select event_id from {{ ref('int_events__taken_back') }}
    where value_left <= 0
),

of_taken_back as (
    select count(*) as taken_back
    from {{ ref('int_events__deduplicated') }} as deduplicated
    semi join taken_back on deduplicated.event_id = taken_back.event_id
    cross join settings
    where settings.kind <> 'hourly' or deduplicated.user_id in (select users.user_id from users)
),

of_weighted as (
    select count(*) as no_interest
    from {{ ref('int_events__weighted') }} as weighted
    cross join settings
    where
        weighted.weight = 0
        and (settings.kind <> 'hourly' or weighted.user_id in (select users.user_id from users))
),

of_events as (
    select
        count(*) filter (
            where events.event_at < settings.long_starts_at
        ) as outside_windows
    from {{ ref('int_events__in_scope') }} as events
    cross join settings
),

of_long as (
    select count(*) as used_long from {{ ref('long_window_behaviour') }}
),

of_short as (
    select count(*) as used_short from {{ ref('short_window_behaviour') }}
),

-- What intake counted when the files landed, not what is counted here.
of_batches as (
    select coalesce(sum(events), 0) as events from batches
)

select
    settings.kind,
    settings.as_of,
    cast(if(settings.kind <> 'hourly', of_batches.events, of_landed.events) as bigint) as accepted,
    of_landed.not_yet_due,
    of_landed.too_late,
    of_repeated.duplicates,
    of_taken_back.taken_back,
    of_weighted.no_interest,
    of_long.used_long,
    of_short.used_short,
    of_events.outside_windows
from settings
cross join of_batches
cross join of_landed
cross join of_repeated
cross join of_taken_back
cross join of_weighted
cross join of_long
cross join of_short
cross join of_events

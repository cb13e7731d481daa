with
users as (
    select user_id from {{ ref('int_users__in_scope') }}
),

events as (
    select * from {{ ref('int_events__in_scope') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    users.user_id,
    count(events.event_id) as events,
    count(distinct events.item_id) as items,
    count(events.event_id) filter (
        where events.event_at >= settings.long_starts_at and events.event_at < settings.long_ends_at
    ) as long_events,
    count(events.event_id) filter (
        where events.event_at >= settings.short_starts_at and events.event_at < settings.short_ends_at
    ) as short_events,
    min(events.event_at) as first_event_at,
    max(events.event_at) as last_event_at
from users
cross join settings
left join events on users.user_id = events.user_id
group by users.user_id

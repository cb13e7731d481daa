with
events as (
    select * from {{ ref('int_events__in_scope') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    events.user_id,
    count(*) as events,
    count(distinct events.item_id) as items,
    count(*) filter (
        where events.event_at >= settings.long_starts_at and events.event_at < settings.long_ends_at
    ) as long_events,
    count(*) filter (
        where events.event_at >= settings.short_starts_at and events.event_at < settings.short_ends_at
    ) as short_events,
    min(events.event_at) as first_event_at,
    max(events.event_at) as last_event_at
from events
cross join settings
group by events.user_id

with
events as (
    select * from {{ ref('int_events__in_scope') }}
    where item_id is not null
),

settings as (
    select * from {{ ref('run_settings') }}
),

decayed as (
    select
        events.user_id,
        events.item_id,
        events.event_id,
        events.event_type,
        events.event_at,
        events.weight,
        {{ decayed('events.weight', 'settings.as_of', 'events.event_at', 'settings.history_half_life_days') }}
            as decayed_weight
    from events
    cross join settings
)

select
    user_id,
    item_id,
    count(*) as events,
    cast(sum(weight) as decimal(18, 6)) as weight,
    cast(sum(decayed_weight) as decimal(18, 9)) as decayed_weight,
    min(event_at) as first_event_at,
    max(event_at) as last_event_at,
    max(struct_pack(event_at := event_at, event_id := event_id, event_type := event_type)).event_id as last_event_id,
    max(struct_pack(event_at := event_at, event_id := event_id, event_type := event_type)).event_type as last_event_type
from decayed
group by user_id, item_id

{{ config(tags=['nightly_only']) }}

with
events as (
    select * from {{ ref('int_events__weighted') }}
    where weight > 0 and item_id is not null
),

settings as (
    select * from {{ ref('run_settings') }}
),

counted as (
    select
        events.item_id,
        count(*) as events_recent
    from events
    cross join settings
    where events.event_at >= settings.trend_starts_at
    group by events.item_id
)

select
    item_id,
    events_recent,
    row_number() over (order by events_recent desc, item_id asc) as trend_rank
from counted

{{ config(materialized='table') }}

with
events as (
    select * from {{ source('lake', 'events') }}
),

weights as (
    select * from {{ ref('int_event_weights') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

new_batches as (
    select batch_id from {{ source('run', 'batches') }}
    where is_new
)

select distinct events.user_id
from events
cross join settings
left join weights on events.event_type = weights.event_type
where
    events.event_at < settings.as_of
    and coalesce(weights.weight, settings.default_event_weight) > 0
    and (
        settings.kind = 'nightly'
        or (events.event_at >= settings.starts_at and events.event_at < settings.ends_at)
        or events.batch_id in (select new_batches.batch_id from new_batches)
    )

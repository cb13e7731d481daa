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
),

too_late as (
    select * from {{ ref('int_batches__too_late') }}
)

select distinct events.user_id
from events
cross join settings
left join weights on events.event_type = weights.event_type
anti join too_late on events.batch_id = too_late.batch_id and events.event_at < too_late.too_late_before
where
    events.event_at < settings.as_of
    and coalesce(weights.weight, settings.default_event_weight) > 0
    and (
        settings.kind = 'nightly'
        or (events.event_at >= settings.starts_at and events.event_at < settings.ends_at)
        or events.batch_id in (select new_batches.batch_id from new_batches)
    )

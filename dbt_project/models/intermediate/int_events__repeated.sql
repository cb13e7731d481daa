{{ config(materialized='table') }}

with
events as (
    select * from {{ ref('int_events__due') }}
),

-- Only ids that come more than once are ordered: they are few, and ordering everything costs memory.
repeated as (
    select event_id from events
    group by event_id
    having count(*) > 1
)

select
    events.*,
    row_number() over (
        partition by events.event_id
        order by
            events.landed_at, events.batch_id, events.event_at, events.user_id, events.item_id, events.event_type,
            events.event_value, events.event_text, events.generation
    ) as place
from events
semi join repeated on events.event_id = repeated.event_id

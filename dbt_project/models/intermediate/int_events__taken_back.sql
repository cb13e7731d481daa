{{ config(materialized='table') }}

with
events as (
    select * from {{ ref('int_events__deduplicated') }}
    where item_id is not null
),

weights as (
    select * from {{ ref('int_event_weights') }}
),

reconciled as (
    select * from {{ ref('int_events__reconciled') }}
    where not takes and pieces_left < pieces
),

deletions as (
    select
        events.user_id,
        events.item_id,
        max(events.event_at) as deleted_at
    from events
    inner join weights on events.event_type = weights.event_type
    where weights.takes_back = 'any'
    group by events.user_id, events.item_id
),

deleted as (
    select events.event_id
    from events
    inner join deletions
        on
            events.user_id = deletions.user_id
            and events.item_id = deletions.item_id
            and events.event_at <= deletions.deleted_at
)

select
    event_id,
    cast(0 as double) as value_left
from deleted
union all
select
    reconciled.event_id,
    cast(reconciled.pieces_left as double) as value_left
from reconciled
anti join deleted on reconciled.event_id = deleted.event_id

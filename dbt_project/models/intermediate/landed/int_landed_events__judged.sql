with
events as (
    select * from {{ ref('stg_' ~ var('source') ~ '__events') }}
),

clock as (
    select landed_at from {{ source('intake', 'batch_clock') }}
),

examined as (
    select
        events.*,
        case
            when events.user_id is null then 'user_id_missing'
            when events.item_id is null and coalesce(events.event_type, '') <> 'search' then 'item_id_missing'
            when events.event_type is null then 'event_type_missing'
            when events.event_at is null then 'event_at_unreadable'
            when
                events.event_at < timestamp '1900-01-01'
                or events.event_at >= clock.landed_at + interval 1 day
                then 'event_at_impossible'
        end as broken
    from events
    cross join clock
),

{{ landing_disposition('examined') }}

with
events as (
    select * from {{ ref('stg_' ~ var('source') ~ '__events') }}
),

clock as (
    select landed_at from {{ source('intake', 'batch_clock') }}
),

value_ranges as (
    select * from {{ ref('value_ranges') }}
    where source = '{{ var('source') }}'
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
            when
                events.event_value < value_ranges.min_value or events.event_value > value_ranges.max_value
                then 'value_out_of_range'
        end as broken
    from events
    cross join clock
    left join value_ranges on events.event_type = value_ranges.event_type
),

{{ landing_disposition('examined') }}

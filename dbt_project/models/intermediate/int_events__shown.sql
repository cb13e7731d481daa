with
events as (
    select * from {{ ref('int_events__weighted') }}
    where event_type = 'exposure' or (event_type = 'click' and generation is not null)
),

settings as (
    select * from {{ ref('run_settings') }}
),

-- Without a generation there is nothing to count once: each exposure is a row of its own.
paired as (
    select
        user_id,
        item_id,
        generation,
        if(generation is null, event_id, null) as lone_event_id,
        bool_or(event_type = 'exposure') as is_exposed,
        bool_or(event_type = 'click') as is_clicked,
        min(event_at) as first_event_at
    from events
    group by user_id, item_id, generation, lone_event_id
)

select
    paired.user_id,
    paired.item_id,
    paired.generation,
    paired.is_exposed,
    paired.is_clicked,
    paired.first_event_at
from paired
cross join settings
where settings.kind = 'nightly' and paired.first_event_at >= settings.click_through_starts_at

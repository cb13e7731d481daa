with
events as (
    select * from {{ ref('int_events__deduplicated') }}
),

taken_back as (
    select * from {{ ref('int_events__taken_back') }}
),

weights as (
    select * from {{ ref('int_event_weights') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    events.* replace (coalesce(taken_back.value_left, events.event_value) as event_value),
    coalesce(weights.weight, settings.default_event_weight) as weight,
    weights.event_type is not null as is_known_type
from events
cross join settings
left join weights on events.event_type = weights.event_type
left join taken_back on events.event_id = taken_back.event_id
where coalesce(taken_back.value_left > 0, true)

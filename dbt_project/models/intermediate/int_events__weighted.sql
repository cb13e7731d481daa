with
events as (
    select * from {{ ref('int_events__deduplicated') }}
),

weights as (
    select * from {{ ref('int_event_weights') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    events.*,
    coalesce(weights.weight, settings.default_event_weight) as weight,
    weights.event_type is not null as is_known_type
from events
cross join settings
left join weights on events.event_type = weights.event_type

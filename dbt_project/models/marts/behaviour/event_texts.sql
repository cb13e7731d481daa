with
events as (
    select * from {{ ref('int_events__in_scope') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    events.user_id,
    events.event_id,
    events.event_text
from events
cross join settings
where
    events.event_at >= least(settings.long_starts_at, settings.short_starts_at)
    and trim(events.event_text) <> ''

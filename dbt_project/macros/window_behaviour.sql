{#- The events of users in scope inside [starts_at, ends_at) of a window, `long` or `short`. The events of no interest
    (weight 0) are left out. -#}
{% macro window_behaviour(window) %}
with
events as (
    select * from {{ ref('int_events__in_scope') }}
),

settings as (
    select
        {{ window }}_starts_at as starts_at,
        {{ window }}_ends_at as ends_at,
        {{ window }}_half_life_days as half_life_days
    from {{ ref('run_settings') }}
)

select
    events.user_id,
    events.item_id,
    events.event_id,
    events.event_type,
    events.event_at,
    events.event_value,
    coalesce(trim(events.event_text) <> '', false) as has_text,
    events.weight,
    {{ decayed('events.weight', 'settings.ends_at', 'events.event_at', 'settings.half_life_days') }} as decay_weight,
    settings.starts_at as window_starts_at,
    settings.ends_at as window_ends_at
from events
cross join settings
where events.event_at >= settings.starts_at and events.event_at < settings.ends_at
{%- endmacro %}

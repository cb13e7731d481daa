with
users as (
    select * from {{ ref('dim_users') }}
),

gates as (
    select * from {{ source('run', 'user_gates') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    users.user_id,
    users.long_events,
    users.short_events,
    gates.gate,
    users.last_event_at,
    settings.as_of,
    settings.generation
from users
left join gates on users.user_id = gates.user_id
cross join settings

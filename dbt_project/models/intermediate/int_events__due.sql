with
events as (
    select * from {{ source('lake', 'events') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

users as (
    select user_id from {{ ref('int_users__in_scope') }}
),

too_late as (
    select * from {{ ref('int_batches__too_late') }}
)

select events.*
from events
cross join settings
anti join too_late on events.batch_id = too_late.batch_id and events.event_at < too_late.too_late_before
where
    events.event_at < settings.as_of
    and (settings.builds_item_tables or events.user_id in (select users.user_id from users))

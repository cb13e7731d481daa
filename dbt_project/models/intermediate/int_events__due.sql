with
events as (
    select * from {{ source('lake', 'events') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

too_late as (
    select * from {{ ref('int_batches__too_late') }}
),

landed as (
    select * from {{ ref('int_events__of_users') }}
    union all
    select events.* from events
    cross join settings
    where settings.builds_item_tables
)

select landed.*
from landed
cross join settings
anti join too_late on landed.batch_id = too_late.batch_id and landed.event_at < too_late.too_late_before
where landed.event_at < settings.as_of

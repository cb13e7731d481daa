{{ config(materialized='table') }}

with
events as (
    select * from {{ source('lake', 'events') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

-- Empty for a run that reads everyone: then the lake is not looked through here.
users as (
    select in_scope.user_id
    from {{ ref('int_users__in_scope') }} as in_scope
    cross join settings
    where not settings.builds_item_tables
)

select events.*
from events
semi join users on events.user_id = users.user_id

with
events as (
    select * from {{ ref('int_events__weighted') }}
),

users as (
    select user_id from {{ ref('int_users__in_scope') }}
)

select events.*
from events
semi join users on events.user_id = users.user_id
where events.weight > 0

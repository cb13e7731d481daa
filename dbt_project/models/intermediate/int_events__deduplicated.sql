{{ config(materialized='table') }}

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

wanted as (
    select events.*
    from events
    cross join settings
    where
        events.event_at < settings.as_of
        and (settings.builds_item_tables or events.user_id in (select users.user_id from users))
),

repeated as (
    select event_id from wanted
    group by event_id
    having count(*) > 1
),

-- Only ids that come more than once are ordered: they are few, and ordering everything costs memory.
first_landed as (
    select wanted.*
    from wanted
    semi join repeated on wanted.event_id = repeated.event_id
    qualify row_number() over (
        partition by wanted.event_id
        order by
            wanted.landed_at, wanted.batch_id, wanted.event_at, wanted.user_id, wanted.item_id, wanted.event_type,
            wanted.event_value, wanted.event_text, wanted.generation
    ) = 1
)

select wanted.*
from wanted
anti join repeated on wanted.event_id = repeated.event_id
union all
select first_landed.* from first_landed

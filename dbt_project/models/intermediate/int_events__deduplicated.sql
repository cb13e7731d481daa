{{ config(materialized='table') }}

with
events as (
    select * from {{ ref('int_events__due') }}
),

repeated as (
    select * from {{ ref('int_events__repeated') }}
)

select events.*
from events
anti join repeated on events.event_id = repeated.event_id
union all
select repeated.* exclude (place)
from repeated
where repeated.place = 1

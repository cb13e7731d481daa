{{ config(tags=['nightly_only']) }}

with
events as (
    select * from {{ ref('int_events__weighted') }}
    where weight > 0 and item_id is not null
),

counted as (
    select
        item_id,
        count(*) as events,
        count(distinct user_id) as users
    from events
    group by item_id
)

select
    item_id,
    events,
    users,
    row_number() over (order by users desc, events desc, item_id asc) as popularity_rank
from counted

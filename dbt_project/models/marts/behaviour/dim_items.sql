with
known as (
    select * from {{ ref('int_items__known') }}
),

events as (
    select * from {{ ref('int_events__deduplicated') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

-- What was only shown is no item yet: a list must not grow by what somebody put on a page.
seen as (
    select distinct item_id from events
    where item_id is not null and event_type is distinct from 'exposure'
)

select
    coalesce(known.item_id, seen.item_id) as item_id,
    known.title,
    known.description,
    known.category,
    known.available_from,
    known.available_until,
    coalesce(known.available_from <= settings.as_of, true)
    and coalesce(known.available_until > settings.as_of, true) as is_available,
    coalesce(list_contains(settings.blocked_items, coalesce(known.item_id, seen.item_id)), false)
    or coalesce(list_has_any(settings.blocked_categories, {{ categories('known.category') }}), false) as is_blocked
from known
full outer join seen on known.item_id = seen.item_id
cross join settings

with
items as (
    select * from {{ ref('dim_items') }}
),

popularity as (
    select * from {{ ref('item_popularity') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    items.item_id,
    items.title,
    items.description,
    items.category,
    items.available_from,
    items.available_until,
    items.is_available,
    coalesce(popularity.events, 0) as events,
    coalesce(popularity.users, 0) as users,
    settings.as_of,
    settings.generation
from items
left join popularity on items.item_id = popularity.item_id
cross join settings

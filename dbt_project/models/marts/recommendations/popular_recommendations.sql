with
popularity as (
    select * from {{ ref('item_popularity') }}
),

items as (
    select * from {{ ref('dim_items') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

ranked as (
    select
        popularity.item_id,
        items.title,
        items.category,
        popularity.users,
        row_number() over (order by popularity.popularity_rank) as rank
    from popularity
    inner join items on popularity.item_id = items.item_id
    where items.is_available and not items.is_blocked
)

select
    cast(ranked.rank as integer) as rank,
    ranked.item_id,
    ranked.title,
    ranked.category,
    ranked.users / max(ranked.users) over () as score,
    settings.as_of,
    settings.generation
from ranked
cross join settings
where ranked.rank <= settings.top_k * 5

with
popularity as (
    select * from {{ ref('item_popularity') }}
),

trend as (
    select * from {{ ref('item_trend') }}
),

items as (
    select * from {{ ref('dim_items') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

listed as (
    select
        item_id,
        title,
        unnest({{ categories('category') }}) as category
    from items
    where is_available and not is_blocked
),

ranked as (
    select
        listed.category,
        listed.item_id,
        listed.title,
        coalesce(trend.events_recent, 0) as events_recent,
        popularity.users,
        row_number() over (
            partition by listed.category
            order by coalesce(trend.events_recent, 0) desc, popularity.popularity_rank asc
        ) as rank
    from listed
    inner join popularity on listed.item_id = popularity.item_id
    left join trend on listed.item_id = trend.item_id
)

select
    ranked.category,
    cast(ranked.rank as integer) as rank,
    ranked.item_id,
    ranked.title,
    ranked.events_recent,
    ranked.users,
    settings.as_of,
    settings.generation
from ranked
cross join settings
where ranked.rank <= settings.top_k * 2

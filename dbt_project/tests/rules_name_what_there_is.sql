-- Warns of a rule that changes nothing because it names an item or a category that no item is.
{{ config(severity='warn') }}

with
settings as (
    select * from {{ ref('run_settings') }}
),

items as (
    select
        item_id,
        {{ categories('category') }} as categories
    from {{ ref('dim_items') }}
),

named as (
    select 'item:' || unnest(blocked_items) as name
    from settings
    union
    select unnest(blocked_categories) as name
    from settings
    union
    select unnest(map_keys(boosts)) as name
    from settings
),

known as (
    select 'item:' || item_id as name
    from items
    union
    select unnest(categories) as name
    from items
)

select name from named
where name not in (select known.name from known)

with
items as (
    select * from {{ ref('stg_' ~ var('source') ~ '__items') }}
),

examined as (
    select
        *,
        case when item_id is null then 'item_id_missing' end as broken
    from items
),

{{ landing_disposition('examined') }}

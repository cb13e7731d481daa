with
lines as (
    select * from {{ ref('stg_online_retail__lines') }}
),

named as (
    select
        _file,
        _row,
        stock_code,
        description as title,
        invoiced_at
    from lines
    where
        ignored_by is null
        and not is_cancellation
        and regexp_matches(description, '[A-Za-z]{3}')
)

select
    _file,
    min_by(_row, (invoiced_at, _row)) as _row,
    stock_code as item_id,
    title,
    cast(null as varchar) as description,
    cast(null as varchar) as category,
    cast(null as timestamp) as available_from,
    cast(null as timestamp) as available_until,
    min(invoiced_at) as updated_at,
    cast(null as varchar) as ignored_by
from named
group by _file, stock_code, title

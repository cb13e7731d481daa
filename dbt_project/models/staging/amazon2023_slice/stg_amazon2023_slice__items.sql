with
reviews as (
    select * from {{ ref('stg_amazon2023_slice__reviews') }}
    where product_id is not null
)

select
    _file,
    min(_row) as _row,
    product_id as item_id,
    min(product_title) as title,
    min(brand) as description,
    concat_ws('|', min(category), nullif(min(main_category), min(category))) as category,
    cast(null as timestamp) as available_from,
    cast(null as timestamp) as available_until,
    cast(null as timestamp) as updated_at,
    cast(null as varchar) as ignored_by
from reviews
group by _file, product_id

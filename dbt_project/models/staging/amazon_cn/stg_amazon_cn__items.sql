with
products as (
    select * from {{ source('amazon_cn', 'products') }}
)

select
    _file,
    _row,
    {{ staging_present('product_id') }} as item_id,
    {{ staging_present('title') }} as title,
    replace({{ staging_present('tags') }}, '|', ' ') as description,
    {{ staging_present('categories') }} as category,
    cast(null as timestamp) as available_from,
    cast(null as timestamp) as available_until,
    cast(null as timestamp) as updated_at,
    cast(null as varchar) as ignored_by
from products

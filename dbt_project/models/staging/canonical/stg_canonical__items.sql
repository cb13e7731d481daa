with
items as (
    select * from {{ source('canonical', 'items') }}
)

select
    _file,
    _row,
    {{ staging_present('item_id') }} as item_id,
    {{ staging_present('title') }} as title,
    {{ staging_present('description') }} as description,
    {{ staging_present('category') }} as category,
    {{ staging_iso_timestamp('available_from') }} as available_from,
    {{ staging_iso_timestamp('available_until') }} as available_until,
    {{ staging_iso_timestamp('updated_at') }} as updated_at,
    cast(null as varchar) as ignored_by
from items

with
ratings as (
    select * from {{ source('amazon_cn', 'ratings') }}
)

select
    _file,
    _row,
    _hash,
    _hash as event_id,
    {{ staging_present('user_id') }} as user_id,
    {{ staging_present('item_id') }} as item_id,
    'rating' as event_type,
    {{ staging_epoch_timestamp('rated_at') }} as event_at,
    {{ staging_number('rating') }} as event_value,
    cast(null as varchar) as event_text,
    cast(null as varchar) as generation,
    cast(null as varchar) as ignored_by
from ratings

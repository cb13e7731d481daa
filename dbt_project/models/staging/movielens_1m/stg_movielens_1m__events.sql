with
ratings as (
    select * from {{ source('movielens_1m', 'ratings') }}
)

select
    _file,
    _row,
    _hash,
    _hash as event_id,
    {{ staging_present('"user_id:token"') }} as user_id,
    {{ staging_present('"item_id:token"') }} as item_id,
    'rating' as event_type,
    {{ staging_epoch_timestamp('"timestamp:float"') }} as event_at,
    {{ staging_number('"rating:float"') }} as event_value,
    cast(null as varchar) as event_text,
    cast(null as varchar) as generation,
    cast(null as varchar) as ignored_by
from ratings

with
ratings as (
    select * from {{ source('ml_latest_small', 'ratings') }}
),

tags as (
    select * from {{ source('ml_latest_small', 'tags') }}
),

actions as (
    select _file, _row, _hash, "userId", "movieId", 'rating' as event_type, "timestamp", rating, null as tag from ratings
    union all
    select _file, _row, _hash, "userId", "movieId", 'review' as event_type, "timestamp", null as rating, tag from tags
)

select
    _file,
    _row,
    _hash,
    _hash as event_id,
    {{ staging_present('"userId"') }} as user_id,
    {{ staging_present('"movieId"') }} as item_id,
    event_type,
    {{ staging_epoch_timestamp('"timestamp"') }} as event_at,
    {{ staging_number('rating') }} as event_value,
    {{ staging_present('tag') }} as event_text,
    cast(null as varchar) as generation,
    cast(null as varchar) as ignored_by
from actions

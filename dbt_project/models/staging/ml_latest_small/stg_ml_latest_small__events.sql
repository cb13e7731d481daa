with
ratings as (
    select * from {{ source('ml_latest_small', 'ratings') }}
),

tags as (
    select * from {{ source('ml_latest_small', 'tags') }}
),

actions as (
    select
        _file,
        _row,
        _hash,
        userid,
        movieid,
        'rating' as event_type,
        timestamp as acted_at,
        rating,
        null as tag
    from ratings
    union all
    select
        _file,
        _row,
        _hash,
        userid,
        movieid,
        'review' as event_type,
        timestamp as acted_at,
        null as rating,
        tag
    from tags
)

select
    _file,
    _row,
    _hash,
    _hash as event_id,
    {{ staging_present('userid') }} as user_id,
    {{ staging_present('movieid') }} as item_id,
    event_type,
    {{ staging_epoch_timestamp('acted_at') }} as event_at,
    {{ staging_number('rating') }} as event_value,
    {{ staging_present('tag') }} as event_text,
    cast(null as varchar) as generation,
    cast(null as varchar) as ignored_by
from actions

with
movies as (
    select * from {{ source('ml_latest_small', 'movies') }}
)

select
    _file,
    _row,
    {{ staging_present('movieid') }} as item_id,
    {{ staging_present('title') }} as title,
    cast(null as varchar) as description,
    nullif({{ staging_present('genres') }}, '(no genres listed)') as category,
    cast(null as timestamp) as available_from,
    cast(null as timestamp) as available_until,
    cast(null as timestamp) as updated_at,
    cast(null as varchar) as ignored_by
from movies

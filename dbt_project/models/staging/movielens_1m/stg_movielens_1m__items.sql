with
movies as (
    select * from {{ source('movielens_1m', 'movies') }}
)

select
    _file,
    _row,
    {{ staging_present('"item_id:token"') }} as item_id,
    coalesce({{ staging_present('"item_id:token"') }}, {{ staging_present('"movie_title:token"') }}) as title,
    cast(null as varchar) as description,
    -- No genre of this set holds a space itself: Children's, Sci-Fi, Film-Noir.
    replace({{ staging_present('trim("genre:token")') }}, ' ', '|') as category,
    cast(null as timestamp) as available_from,
    cast(null as timestamp) as available_until,
    cast(null as timestamp) as updated_at,
    cast(null as varchar) as ignored_by
from movies

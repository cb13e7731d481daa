with
reviews as (
    select * from {{ ref('stg_amazon2023_slice__reviews') }}
)

select
    _file,
    _row,
    _hash,
    coalesce(md5(user_id || '|' || product_id || '|' || reviewed_at_ms), _hash || '-' || place) as event_id,
    user_id,
    product_id as item_id,
    'review' as event_type,
    {{ staging_epoch_timestamp('reviewed_at_ms', 1000) }} as event_at,
    {{ staging_number('stars') }} as event_value,
    case
        when starts_with(review_text, review_title) then review_text
        else coalesce(review_title || chr(10) || review_text, review_title, review_text)
    end as event_text,
    cast(null as varchar) as generation,
    cast(null as varchar) as ignored_by
from reviews

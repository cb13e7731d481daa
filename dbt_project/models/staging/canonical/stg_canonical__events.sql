with
events as (
    select * from {{ source('canonical', 'events') }}
)

select
    _file,
    _row,
    _hash,
    coalesce({{ staging_present('event_id') }}, _hash) as event_id,
    {{ staging_present('user_id') }} as user_id,
    {{ staging_present('item_id') }} as item_id,
    {{ staging_present('event_type') }} as event_type,
    {{ staging_iso_timestamp('event_at') }} as event_at,
    {{ staging_decimal('event_value') }} as event_value,
    {{ staging_present('event_text') }} as event_text,
    {{ staging_present('generation') }} as generation,
    cast(null as varchar) as ignored_by
from events

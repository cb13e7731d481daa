select
    user_id,
    item_id,
    event_id,
    event_type,
    event_at,
    weight
from {{ ref('int_events__in_scope') }}
where item_id is not null

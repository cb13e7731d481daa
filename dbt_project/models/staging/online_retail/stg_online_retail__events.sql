with
lines as (
    select * from {{ ref('stg_online_retail__lines') }}
)

select
    _file,
    _row,
    _hash,
    _hash as event_id,
    customer_id as user_id,
    stock_code as item_id,
    if(is_cancellation, 'cancellation', 'purchase') as event_type,
    invoiced_at as event_at,
    cast(if(is_cancellation, -quantity, quantity) as double) as event_value,
    cast(null as varchar) as event_text,
    cast(null as varchar) as generation,
    ignored_by
from lines

with
batches as (
    select * from {{ source('run', 'intake') }}
)

select
    batch_id,
    source,
    file,
    landed_at,
    rows_read,
    accepted,
    quarantined,
    ignored,
    events,
    items,
    is_new
from batches

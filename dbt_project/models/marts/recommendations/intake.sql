with
batches as (
    select * from {{ source('run', 'intake') }}
)

select
    batch_id,
    source,
    kind,
    file,
    landed_at,
    rows_read,
    accepted,
    quarantined,
    ignored,
    events,
    items,
    released,
    discarded,
    is_new
from batches

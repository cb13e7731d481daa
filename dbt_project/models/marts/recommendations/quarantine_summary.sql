with
refused as (
    select * from {{ source('run', 'quarantine_summary') }}
)

select
    batch_id,
    file,
    rule,
    reason,
    count,
    released,
    discarded
from refused

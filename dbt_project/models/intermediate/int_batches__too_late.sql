with
batches as (
    select * from {{ source('run', 'batches') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    batches.batch_id,
    batches.known_as_of,
    batches.known_as_of - to_seconds(settings.late_lookback_days * 86400) as too_late_before
from batches
cross join settings
where batches.known_as_of is not null

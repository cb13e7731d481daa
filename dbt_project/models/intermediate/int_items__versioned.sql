{{ config(tags=['nightly_only']) }}

with
items as (
    select
        *,
        coalesce(updated_at, landed_at) as version_at
    from {{ source('lake', 'items') }}
),

-- Of several rows for one version, the last one that landed is its correction.
versions as (
    select *
    from items
    qualify row_number() over (
        partition by item_id, version_at
        order by
            landed_at desc, batch_id desc, title asc, description asc, category asc, available_from asc,
            available_until asc
    ) = 1
)

select
    item_id,
    title,
    description,
    category,
    available_from,
    available_until,
    version_at,
    case
        when row_number() over (partition by item_id order by version_at) > 1 then version_at
    end as valid_from,
    lead(version_at) over (partition by item_id order by version_at) as valid_until
from versions

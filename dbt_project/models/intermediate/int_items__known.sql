{{ config(tags=['nightly_only']) }}

with
versions as (
    select * from {{ ref('int_items__versioned') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    versions.item_id,
    versions.title,
    versions.description,
    versions.category,
    versions.available_from,
    versions.available_until
from versions
cross join settings
where
    coalesce(versions.valid_from <= settings.as_of, true)
    and coalesce(versions.valid_until > settings.as_of, true)

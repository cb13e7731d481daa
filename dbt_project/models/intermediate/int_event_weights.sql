with
seed_weights as (
    select
        event_type,
        weight,
        takes_back
    from {{ ref('event_weights') }}
),

given_weights (event_type, weight) as (
    {{ given_event_weights() }}
)

select
    coalesce(given_weights.event_type, seed_weights.event_type) as event_type,
    cast(coalesce(given_weights.weight, seed_weights.weight) as decimal(18, 6)) as weight,
    seed_weights.takes_back
from seed_weights
full outer join given_weights on seed_weights.event_type = given_weights.event_type
where coalesce(given_weights.event_type, seed_weights.event_type) is not null

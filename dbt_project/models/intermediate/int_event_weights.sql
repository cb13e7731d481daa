with
seed_weights as (
    select
        event_type,
        weight
    from {{ ref('event_weights') }}
),

given_weights as (
    select
        event_type,
        weight
    from (
        values
        (cast(null as varchar), cast(null as decimal(18, 6)))
        {%- for event_type, weight in setting('event_type_weights').items() %},
        ('{{ event_type | replace("'", "''") }}', cast({{ weight | float }} as decimal(18, 6)))
        {%- endfor %}
    ) as given (event_type, weight)
    where event_type is not null
)

select
    coalesce(given_weights.event_type, seed_weights.event_type) as event_type,
    cast(coalesce(given_weights.weight, seed_weights.weight) as decimal(18, 6)) as weight
from seed_weights
full outer join given_weights on seed_weights.event_type = given_weights.event_type

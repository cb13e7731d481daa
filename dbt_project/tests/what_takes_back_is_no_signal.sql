-- A refund that weighed something would be a sign of interest: take its weight out of event_type_weights, or its
-- takes_back out of the seed event_weights.
select *
from {{ ref('int_event_weights') }}
where takes_back is not null and weight > 0

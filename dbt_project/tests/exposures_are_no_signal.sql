-- What was shown is no sign of interest: take exposure out of event_type_weights, or put it back into the seed
-- event_weights with weight 0 and nothing that it takes back, else it would have the weight of an unknown type.
select count(*) as exposures_without_weight
from {{ ref('int_event_weights') }}
where event_type = 'exposure' and weight = 0 and takes_back is null
having count(*) = 0

-- What was shown is no sign of interest: take exposure out of event_type_weights, or put it back into the seed
-- event_weights with weight 0 and nothing that it takes back, else it would have the weight of an unknown type.
select exposures.weight
from (select 1) as one
left join {{ ref('int_event_weights') }} as exposures on exposures.event_type = 'exposure'
where exposures.weight is distinct from 0 or exposures.takes_back is not null

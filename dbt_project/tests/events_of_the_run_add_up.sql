-- Every accepted event has one outcome: else an event was lost or counted twice, and the run stops before it publishes.
select *
from {{ ref('run_accounting') }}
where
    accepted
    <> not_yet_due + too_late + duplicates + taken_back + no_interest + used_long + used_short + outside_windows

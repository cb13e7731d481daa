-- Settings that leave a window without a length stop the run here, before anything is built on them.
select *
from {{ ref('run_settings') }}
where
    not coalesce(long_starts_at < long_ends_at, false)
    or not coalesce(short_starts_at < short_ends_at, false)
    or long_half_life_days <= 0
    or short_half_life_days <= 0
    or late_lookback_days is null
    or late_lookback_days < 0
    or not coalesce(click_through_days > 0, false)
    or top_k < 1
    or default_event_weight < 0

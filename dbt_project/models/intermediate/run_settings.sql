with
run_window as (
    select * from {{ source('run', 'run_window') }}
),

settings as (
    select
        {{ setting_sql('long_window_days', 'double') }} as long_window_days,
        {{ setting_sql('short_window_days', 'double') }} as short_window_days,
        {{ setting_sql('long_half_life_days', 'double') }} as long_half_life_days,
        {{ setting_sql('short_half_life_days', 'double') }} as short_half_life_days,
        {{ setting_sql('trend_days', 'double') }} as trend_days,
        {{ setting_sql('click_through_days', 'double') }} as click_through_days,
        {{ setting_sql('late_lookback_days', 'double') }} as late_lookback_days,
        {{ setting_sql('repeats_allowed', 'boolean') }} as repeats_allowed,
        {{ setting_sql('top_k', 'integer') }} as top_k,
        {{ setting_sql('default_event_weight', 'decimal(18, 6)') }} as default_event_weight,
        {{ setting_list('blocked_items') }} as blocked_items,
        {{ setting_list('blocked_categories') }} as blocked_categories,
        {{ setting_sql('category_cap', 'integer', least=1) }} as category_cap,
        {{ setting_factors('boosts') }} as boosts,
        {{ setting_sql('diversity', 'double', least=0, most=1) }} as diversity,
        {{ setting_sql('exploration_share', 'double', least=0, most=1) }} as exploration_share,
        {{ setting_sql('exploration_days', 'double', least=0) }} as exploration_days
)

select
    run_window.run_id,
    run_window.kind,
    run_window.starts_at,
    run_window.ends_at,
    run_window.as_of,
    run_window.generation,
    run_window.model_version,
    run_window.source,
    run_window.builds_item_tables,
    settings.*,
    run_window.as_of - to_seconds(settings.long_window_days * 86400) as long_starts_at,
    run_window.as_of - to_seconds(settings.short_window_days * 86400) as long_ends_at,
    run_window.as_of - to_seconds(settings.short_window_days * 86400) as short_starts_at,
    run_window.as_of as short_ends_at,
    run_window.as_of - to_seconds(settings.trend_days * 86400) as trend_starts_at,
    run_window.as_of - to_seconds(settings.click_through_days * 86400) as click_through_starts_at
from run_window
cross join settings

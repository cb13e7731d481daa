{{ config(materialized='table') }}

with
events as (
    select * from {{ source('lake', 'events') }}
),

weights as (
    select * from {{ ref('int_event_weights') }}
),

settings as (
    select * from {{ ref('run_settings') }}
),

-- An hour does not look through the lake for who was active: these are the rows of its window and of new batches.
arrivals as (
    select * from {{ source('lake', 'arrivals') }}
),

too_late as (
    select * from {{ ref('int_batches__too_late') }}
),

candidates as (
    select events.* from events
    cross join settings
    where settings.kind <> 'hourly'
    union all
    select arrivals.* from arrivals
),

touching as (
    select
        candidates.user_id,
        coalesce(weights.weight, settings.default_event_weight) > 0 as is_of_interest
    from candidates
    cross join settings
    left join weights on candidates.event_type = weights.event_type
    anti join too_late on candidates.batch_id = too_late.batch_id and candidates.event_at < too_late.too_late_before
    where
        candidates.event_at < settings.as_of
        and (coalesce(weights.weight, settings.default_event_weight) > 0 or weights.takes_back is not null)
),

touched as (
    select
        user_id,
        bool_or(is_of_interest) as is_of_interest
    from touching
    group by user_id
),

-- A name of its own: what is read twice under one name, DuckDB keeps, and all of the lake would be kept.
history as (
    select * from {{ source('lake', 'events') }}
),

-- Whoever only took something back has to be recomputed too, but for whom there was never anything to take back.
took_back as (
    select user_id from touched
    where not is_of_interest
),

had_something as (
    select distinct history.user_id
    from history
    semi join took_back on history.user_id = took_back.user_id
    cross join settings
    left join weights on history.event_type = weights.event_type
    anti join too_late on history.batch_id = too_late.batch_id and history.event_at < too_late.too_late_before
    where history.event_at < settings.as_of and coalesce(weights.weight, settings.default_event_weight) > 0
)

select user_id from touched
where is_of_interest
union all
select user_id from had_something

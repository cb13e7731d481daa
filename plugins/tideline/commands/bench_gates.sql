-- A lake of 30 daily deliveries and the tables of a run's warehouse, from the variables events, users, deliveries,
-- top_k and as_of. Ids are as long as real ones: derived event ids are md5.
-- Not in the warehouse's file: what is only copied out need not be written twice.
attach ':memory:' as lake;

create table lake.events as
select
    md5(n::varchar) as event_id,
    'user-' || hash(n) % getvariable('users') as user_id,
    'item-' || hash(n + 1) % 50000 as item_id,
    ['view', 'view', 'view', 'cart', 'purchase'][1 + n % 5] as event_type,
    getvariable('as_of') - to_microseconds((getvariable('events') - n) * (30 * 86400000000 // getvariable('events')))
        as event_at,
    case when n % 5 = 4 then 1.0 + n % 3 end::double as event_value,
    null::varchar as event_text,
    'canonical' as source,
    getvariable('as_of') - to_days((29 - n * 30 // getvariable('events'))::integer) as landed_at,
    null::varchar as generation,
    format('{:016x}', n * 30 // getvariable('events')) as batch_id
from range(getvariable('events')) as numbers (n);

create table lake.items as
select
    'item-' || n as item_id,
    'Title ' || n as title,
    null::varchar as description,
    'category ' || n % 40 as category,
    null::timestamp as available_from,
    null::timestamp as available_until,
    null::timestamp as updated_at,
    getvariable('as_of') - interval 29 day as landed_at,
    format('{:016x}', getvariable('deliveries')) as batch_id
from range(50000) as numbers (n);

create table run_settings as
    select getvariable('top_k')::integer as top_k, true as repeats_allowed, null::integer as category_cap;
create table dim_items as select *, true as is_available, false as is_blocked from lake.items;
create table dim_users as
    select user_id, count(*) as events from lake.events group by user_id;
create table int_users__in_scope as select user_id from dim_users;

create table long_window_behaviour as
select
    user_id, item_id, event_id, event_type, event_at, event_value,
    false as has_text,
    1::decimal(18, 6) as weight,
    0.5::decimal(18, 9) as decay_weight,
    getvariable('as_of') - interval 365 day as window_starts_at,
    getvariable('as_of') - interval 7 day as window_ends_at
from lake.events
where event_at < getvariable('as_of') - interval 7 day;

create table short_window_behaviour as
select
    user_id, item_id, event_id, event_type, event_at, event_value,
    false as has_text,
    1::decimal(18, 6) as weight,
    0.5::decimal(18, 9) as decay_weight,
    getvariable('as_of') - interval 7 day as window_starts_at,
    getvariable('as_of') as window_ends_at
from lake.events
where event_at >= getvariable('as_of') - interval 7 day;

create table user_events as
select user_id, item_id, event_id, event_at from lake.events;

create table popular_recommendations as select 1 as rank, 'item-1' as item_id;
create table popular_by_category as select 'category 1' as category, 1 as rank, 'item-1' as item_id;

create table nightly_recommendations as
select
    users.user_id,
    ranks.rank::integer as rank,
    'item-' || (hash(users.user_id) + ranks.rank) % 50000 as item_id,
    1.0::double / ranks.rank as score,
    [struct_pack(part := 'base', value := 0.0::double), struct_pack(part := 'long', value := 1.0::double / ranks.rank)]
        as score_parts,
    users.because,
    getvariable('as_of') as as_of,
    'bench' as generation
from (
    select
        user_id,
        max([struct_pack(
            event_id := event_id, item_id := item_id, event_type := event_type, event_at := event_at, part := 'long',
            contribution := 0.5::double
        )]) as because
    from lake.events
    group by user_id
) as users
cross join range(1, getvariable('top_k') + 1) as ranks (rank);

create table hourly_recommendations as from nightly_recommendations where false;

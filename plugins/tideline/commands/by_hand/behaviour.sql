-- From `events` and `items` to the behaviour tables, with the variables of `run_settings` and the seed of weights.
create temp table landed as
select
    events.*, coalesce(weights.weight, getvariable('default_event_weight'))::decimal(18, 6) as weight,
    weights.takes_back
from (
    from events
    where event_at < getvariable('as_of')
    qualify row_number() over (partition by event_id order by event_at, user_id, item_id) = 1
) as events
left join read_csv(getvariable('event_weights')) as weights using (event_type);

-- What a user holds of an item is a stack of pieces: a take-back takes the latest ones off, never more than is there.
create temp table taken_back as
with
moves as (
    select event_id, user_id, item_id, event_at, takes_back is not null as takes, event_value::decimal(28, 6) as pieces
    from landed
    where
        (user_id, item_id) in (select (user_id, item_id) from landed where takes_back = 'purchase')
        and (event_type = 'purchase' or takes_back = 'purchase')
),
added as (
    select *, sum(if(takes, -pieces, pieces)) over (
        partition by user_id, item_id order by event_at, takes, event_id rows unbounded preceding
    ) as balance
    from moves
),
held as (
    select *, balance - least(0, min(balance) over (
        partition by user_id, item_id order by event_at, takes, event_id rows unbounded preceding
    )) as held_after
    from added
),
bounded as (
    select
        *,
        coalesce(lag(held_after) over ordered, 0) as held_before,
        min(held_after) over (
            partition by user_id, item_id order by event_at, takes, event_id
            rows between current row and unbounded following
        ) as least_held_later
    from held
    window ordered as (partition by user_id, item_id order by event_at, takes, event_id)
)
select event_id from bounded where not takes and least_held_later <= held_before;

create temp table weighted as
from landed anti join taken_back using (event_id);

create macro decayed(weight, newest, event_at, half_life) as cast(
    case
        when half_life is null or weight = 0 then weight
        else greatest(weight * pow(0.5, epoch(newest - event_at) / (86400.0 * half_life)), 0.000000001)
    end as decimal(18, 9)
);

create macro behaviour(starts_at, ends_at, half_life) as table
select
    user_id, item_id, event_id, event_type, event_at, event_value,
    coalesce(trim(event_text) <> '', false) as has_text,
    weight,
    decayed(weight, ends_at, event_at, half_life) as decay_weight,
    starts_at as window_starts_at,
    ends_at as window_ends_at
from weighted
where weight > 0 and event_at >= starts_at and event_at < ends_at;

create table long_window_behaviour as
from behaviour(
    getvariable('long_starts_at'), getvariable('long_ends_at'), getvariable('long_half_life_days')
);

create table short_window_behaviour as
from behaviour(
    getvariable('short_starts_at'), getvariable('short_ends_at'), getvariable('short_half_life_days')
);

create table user_events as
select user_id, item_id, event_id, event_type, event_at, weight
from weighted
where weight > 0 and item_id is not null;

create table dim_users as
select
    user_id,
    count(event_id) as events,
    count(distinct item_id) as items,
    count(*) filter (event_at >= getvariable('long_starts_at') and event_at < getvariable('long_ends_at')) as long_events,
    count(*) filter (event_at >= getvariable('short_starts_at')) as short_events,
    min(event_at) as first_event_at,
    max(event_at) as last_event_at
from (select distinct user_id from landed where weight > 0)
left join (from weighted where weight > 0) using (user_id)
group by user_id;

-- The newest version before as_of; the first one holds from the beginning.
create table dim_items as
with
known as (
    from items
    qualify row_number() over (
        partition by item_id
        order by
            coalesce(updated_at > getvariable('as_of'), false),
            if(coalesce(updated_at > getvariable('as_of'), false), null, updated_at) desc,
            updated_at
    ) = 1
),
seen as (select distinct item_id from weighted where item_id is not null)
select coalesce(known.item_id, seen.item_id) as item_id, known.* exclude (item_id)
from known
full join seen on known.item_id = seen.item_id;

create table item_popularity as
select item_id, count(*) as events, count(distinct user_id) as users,
    row_number() over (order by count(distinct user_id) desc, count(*) desc, item_id) as popularity_rank
from weighted
where weight > 0 and item_id is not null
group by item_id;

create table item_trend as
select item_id, count(*) as events_recent, row_number() over (order by count(*) desc, item_id) as trend_rank
from weighted
where weight > 0 and item_id is not null and event_at >= getvariable('trend_starts_at')
group by item_id;

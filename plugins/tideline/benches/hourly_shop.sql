-- Everything follows from numbers and DuckDB's hash: the same sizes give the same shop.
create macro chance(a, b) as hash(a, b) % 1000000 / 1000000.0;
create macro user_name(n) as getvariable('prefix') || lpad(n::varchar, 7, '0');
create macro item_name(n) as 'i' || lpad(n::varchar, 6, '0');
create macro word(n) as list_extract(
    ['red', 'blue', 'wool', 'steel', 'garden', 'kitchen', 'winter', 'travel', 'paper', 'glass', 'small', 'large', 'oak',
    'linen', 'night', 'coffee', 'music', 'river', 'stone', 'bright', 'copper', 'forest', 'silk', 'salt', 'cloud'],
    (n % 25 + 1)::integer
);

create view items as
select
    item_name(n) as item_id,
    word(hash(n, 1)) || ' ' || word(hash(n, 2)) || ' ' || word(hash(n, 3)) || ' ' || n as title,
    'category ' || n % 40 as category
from range(getvariable('items')) as numbers(n);

-- A heavy tail: few items have most of the events, and a user prefers two categories.
create macro chosen_item(a, b, fan) as (
    (
        pow(chance(a, b || 'i'), 2.5) * getvariable('items') / 40
    )::bigint * 40 + if(chance(a, b || 'c') < 0.7, hash(fan, hash(a, b || 'w') % 2) % 40, hash(a, b || 'r') % 40)
) % getvariable('items');

create view year as
select
    user_name(who) as user_id,
    if(hash(n, 'kind') % 50 = 0, null, item_name(chosen_item(n, 'year', who))) as item_id,
    case when hash(n, 'kind') % 50 = 0 then 'search' when hash(n, 'kind') % 5 = 1 then 'purchase' else 'view' end
        as event_type,
    -- To the second, as most sources tell it; the last minute of the year stays empty.
    getvariable('as_of')
    - to_seconds(60 + (chance(n, 'at') * (getvariable('days') * 86400 - 120))::bigint) as event_at,
    cast(null as double) as event_value,
    if(hash(n, 'kind') % 50 = 0, word(hash(n, 4)) || ' ' || word(hash(n, 5)) || ' ' || n % 1000, null) as event_text
from (select n, n % getvariable('users') as who from range(getvariable('events')) as numbers(n));

create view hour as
select
    user_name(who) as user_id,
    if(hash(n, 'kind') % 10 = 0, null, item_name(chosen_item(n, 'hour' || getvariable('number'), who))) as item_id,
    case when hash(n, 'kind') % 10 = 0 then 'search' when hash(n, 'kind') % 5 = 1 then 'purchase' else 'view' end
        as event_type,
    getvariable('as_of') + to_seconds((chance(n, getvariable('number') || 'at') * 3599)::bigint) as event_at,
    cast(null as double) as event_value,
    if(
        hash(n, 'kind') % 10 = 0,
        word(hash(n, 6)) || ' ' || word(hash(n, 7)) || ' for hour ' || getvariable('number') || ' number ' || n,
        null
    ) as event_text
from (
    select
        n,
        -- Spread over all users, others in each hour.
        (n % getvariable('active')) * (getvariable('users') // getvariable('active'))
        + (getvariable('number') % (getvariable('users') // getvariable('active'))) as who
    from range(getvariable('active') * getvariable('each')) as numbers(n)
);

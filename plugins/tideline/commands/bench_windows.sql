-- The tables of a night from the variables users, items and events, with a heavy tail: a user of rank r acts in
-- proportion to r^(-1/2) (of 20 million events the first of a million users has 20,000, the one in the middle 14), an
-- item of rank r is met in proportion to r^(-2/3) (half of all events are on an eighth of the items). Ranks and ids have
-- nothing to do with each other. Ids are as long as real ones; windows and half-life are those of the defaults.

-- The same on every machine and with any number of threads, as random() is not. Parts are 0, 1, 2.
create macro uniform(n, part) as (hash(3 * n + part) >> 11) / pow(2, 53);
create macro id_of(kind, n) as kind || '-' || substr(md5(kind || n), 1, 16);

create table dim_users as select id_of('user', n) as user_id from range(getvariable('users')) as numbers (n);
create table dim_items as select id_of('item', n) as item_id from range(getvariable('items')) as numbers (n);

create table events as
select
    id_of('user', floor(getvariable('users') * pow(uniform(n, 0), 2))::bigint) as user_id,
    id_of('item', floor(getvariable('items') * pow(uniform(n, 1), 3))::bigint) as item_id,
    md5(n::varchar) as event_id,
    [1, 1, 1, 2, 3][1 + n % 5] as weight,
    365 * uniform(n, 2) as age_days
from range(getvariable('events')) as numbers (n);

create view long_window_behaviour as
select user_id, item_id, event_id, weight::decimal(18, 9) as decay_weight
from events
where age_days > 7;

create view short_window_behaviour as
select user_id, item_id, event_id, (weight * pow(0.5, age_days / 2))::decimal(18, 9) as decay_weight
from events
where age_days <= 7;

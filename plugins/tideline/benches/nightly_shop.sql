-- A year of a shop from the variables users, items, events and as_of, with a heavy tail and interests that drift: a user
-- of rank r acts in proportion to r^(-1/2) (of 20 million events the first of a million users has 20,000, the one in the
-- middle 14). Seven events of ten are in the one category of many that the user is in at the time, for some 60 days each,
-- the others anywhere; within either, an item of rank r is met in proportion to r^(-2/3). One item of 33 arrives in the
-- last 28 days. Ranks and ids have nothing to do with each other; ids are as long as real ones.

-- The same on every machine and with any number of threads, as random() is not. Parts are 0 to 7.
create macro uniform(n, part) as (hash(8 * n + part) >> 11) / pow(2, 53);
create macro id_of(kind, n) as kind || '-' || substr(md5(kind || n), 1, 16);
create macro categories() as greatest(4, least(200, getvariable('items') // 50));
create macro arrives_late(item) as hash(item) % 33 = 0;
create macro days_old(item) as 0.5 + 27 * uniform(item, 7);
create macro ago(days) as getvariable('as_of') - to_microseconds((days * 86400000000)::bigint);
create macro word_of(words, item, part) as words[1 + (hash(8 * item + part) % len(words)::ubigint)::bigint];

create table items as
select
    id_of('item', n) as item_id,
    word_of(['Plain', 'Striped', 'Vintage', 'Folding', 'Painted', 'Woven', 'Carved', 'Quiet', 'Heavy', 'Little'], n, 3)
    || ' '
    || word_of(['oak', 'steel', 'linen', 'glass', 'wool', 'copper', 'paper', 'clay', 'leather', 'cork', 'slate'], n, 4)
    || ' '
    || word_of(['lamp', 'chair', 'basket', 'mug', 'kettle', 'blanket', 'frame', 'clock', 'vase', 'shelf', 'bench', 'box'],
        n % categories(), 5)
    || ' no. ' || n as title,
    'category ' || n % categories() as category,
    case when arrives_late(n) then ago(days_old(n)) end as available_from,
    ago(400) as updated_at
from range(getvariable('items')) as numbers (n);

create view events as
with
drawn as (
    select
        n,
        floor(getvariable('users') * pow(uniform(n, 0), 2))::bigint as user,
        -- In the order of time, so that a month is a range of numbers.
        365 * (1 - (n + uniform(n, 2)) / getvariable('events')) as age_days,
        pow(uniform(n, 1), 3) as place,
        uniform(n, 3) < 0.7 as at_home
    from range(getvariable('first'), getvariable('last')) as numbers (n)
),

met as (
    select
        *,
        -- Users do not all change their minds on the same day.
        hash(user * 64 + floor((age_days + (hash(user) % 60)::double) / 60)::bigint) % categories()::ubigint as home,
        getvariable('items') // categories() as in_category
    from drawn
),

chosen as (
    select
        *,
        case
            when at_home then floor(in_category * place)::bigint * categories() + home::bigint
            else floor(getvariable('items') * place)::bigint
        end as item
    from met
),

-- What has not arrived yet is not met: the next one that is always there is, instead.
possible as (
    select
        *,
        case
            when not arrives_late(item) or age_days < days_old(item) then item
            else coalesce(
                list_filter([item + 1, item + 2, item + 3, item - 1], lambda other:
                    other between 0 and getvariable('items') - 1 and not arrives_late(other))[1],
                0
            )
        end as there
    from chosen
)

select
    md5(n::varchar) as event_id,
    id_of('user', user) as user_id,
    id_of('item', there) as item_id,
    ['view', 'view', 'view', 'cart', 'purchase'][1 + n % 5] as event_type,
    ago(age_days) as event_at
from possible;

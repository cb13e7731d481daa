-- `read`: every raw row with its hash; `events` and `items`: the canonical columns of what the source's rules let through.
create temp table read as
select
    *,
    md5('ratings' || to_json({
        'user_id:token': "user_id:token", 'item_id:token': "item_id:token", 'rating:float': "rating:float",
        'timestamp:float': "timestamp:float"
    })::varchar) as event_id
from read_csv(getvariable('landing') || '/*.inter', delim = '\t', quote = '', header = true, all_varchar = true);

create temp table events as
select
    event_id, "user_id:token" as user_id, "item_id:token" as item_id, 'rating' as event_type,
    make_timestamp((try_cast("timestamp:float" as double) * 1000000)::bigint) as event_at,
    try_cast("rating:float" as double) as event_value, null::varchar as event_text
from read
where
    "user_id:token" is not null and "item_id:token" is not null
    and try_cast("timestamp:float" as double) >= epoch(timestamp '1900-01-01');

create temp table items as
select
    "item_id:token" as item_id, coalesce("item_id:token", "movie_title:token") as title, null::varchar as description,
    replace(trim("genre:token"), ' ', '|') as category, null::timestamp as updated_at
from read_csv(getvariable('landing') || '/*.item', delim = '\t', quote = '', header = true, all_varchar = true)
where "item_id:token" is not null;

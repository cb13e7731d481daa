with
in_lake as (
    select
        files.batch_id,
        (select count(*) from events where events.batch_id = files.batch_id) as events,
        (select count(*) from items where items.batch_id = files.batch_id) as items
    from files
),

of_files as (
    select
        count(*) filter (where rows_read is distinct from accepted + quarantined + ignored) as files_that_do_not_add_up,
        count(*) filter (where reasons['unreadable_file'] > 0) as unreadable_files,
        count(*) filter (where rows_read = 0 and coalesce(reasons['unreadable_file'], 0) = 0) as empty_files,
        count(*) filter (where (files.events, files.items) is distinct from (in_lake.events, in_lake.items))
            as files_that_differ_from_lake,
        coalesce(sum(quarantined), 0) as quarantined,
        sum(quarantined) / nullif(sum(rows_read), 0) as quarantined_share
    from files
    join in_lake using (batch_id)
),

of_events as (
    select
        count(*) - count(distinct event_id) as duplicates,
        duplicates / nullif(count(*), 0) as duplicate_share,
        count(*) filter (where event_value is null) as null_values,
        null_values / nullif(count(*), 0) as null_value_share,
        count(*) filter (where item_id not in (select known_items.item_id from known_items)) as unknown_items,
        -- Without any item file the items are the ids that events name: nothing to compare with.
        if((select count(*) from known_items) > 0, unknown_items / nullif(count(item_id), 0), null)
            as unknown_item_share,
        count(*) filter (where event_type not in (select unnest($types))) as unknown_types,
        unknown_types / nullif(count(*), 0) as unknown_type_share,
        count(*) filter (where event_at::date in (date '1970-01-01', date '1900-01-01')) as placeholder_dates,
        placeholder_dates / nullif(count(*), 0) as placeholder_date_share
    from events
),

of_items as (
    select
        count(*) filter (where title is null) as null_titles,
        null_titles / nullif(count(*), 0) as null_title_share
    from items
),

of_all as (
    select
        if($nightly, count(*) filter (where event_at < $as_of), null) as events,
        epoch($as_of - max(event_at) filter (where event_at < $as_of)) / 86400.0 as newest_event_age_days
    from pinned_events
)

select * from of_files, of_events, of_items, of_all

with
layer as (
    select
        *,
        lag(score) over (partition by user_id order by rank) as score_before
    from {layer}
),

settings as (
    select
        top_k,
        repeats_allowed,
        category_cap
    from run_settings
),

-- Events of interest before as_of; what was taken back is not among them.
own_events as (
    select
        user_id,
        event_id,
        item_id,
        event_type,
        event_at
    from int_events__in_scope
),

cited as (
    select
        user_id,
        unnest(because) as event
    from layer
),

available as (
    select item_id from dim_items
    where coalesce(available_from <= $as_of, true) and coalesce(available_until > $as_of, true)
),

-- What may be shown at all.
allowed as (
    select item_id from dim_items
    where not is_blocked and item_id in (select available.item_id from available)
),

listed as (
    select
        user_id,
        count(*) as rows,
        count(distinct rank) as ranks,
        min(rank) as first_rank,
        max(rank) as last_rank
    from layer
    group by user_id
),

-- The whole history is read where it matters alone: of whose list is not full.
seen as (
    select
        user_events.user_id,
        count(distinct user_events.item_id) as items
    from user_events
    anti join (select listed.user_id from listed cross join settings where listed.rows >= settings.top_k) as full_lists
        on user_events.user_id = full_lists.user_id
    semi join allowed on user_events.item_id = allowed.item_id
    where not (select settings.repeats_allowed from settings)
    group by user_events.user_id
),

of_rows as (
    select
        count(*) as rows,
        count(*) - count(distinct (user_id, item_id)) as duplicate_items,
        count(*) filter (where generation is distinct from $generation or as_of is distinct from $as_of)
            as rows_of_another_run,
        count(*) filter (where score is null or not isfinite(score)) as scores_not_finite,
        count(*) filter (where score > score_before) as scores_rising_with_rank,
        count(*) filter (
            where coalesce(
                not abs(list_sum(list_transform(score_parts, lambda part: part.value)) - score) <= $tolerance, true
            )
        ) as parts_that_do_not_sum,
        count(*) filter (where user_id is null or user_id not in (select users.user_id from dim_users as users))
            as rows_of_users_out_of_scope,
        count(*) filter (where item_id is null or item_id not in (select items.item_id from dim_items as items))
            as unknown_items
    from layer
),

of_items as (
    select count(*) as unavailable_items
    from layer
    semi join dim_items on layer.item_id = dim_items.item_id
    anti join available on layer.item_id = available.item_id
),

of_blocked as (
    select count(*) as blocked_items
    from (
        select item_id from layer
        union all
        select item_id from popular_recommendations
        union all
        select item_id from popular_by_category
    )
    semi join (select item_id from dim_items where is_blocked) using (item_id)
),

of_seen as (
    select count(*) as seen_items
    from layer
    semi join (
        select
            user_id,
            item_id
        from user_events
        where not (select settings.repeats_allowed from settings)
    ) using (user_id, item_id)
),

of_ranks as (
    select
        count(*) filter (where first_rank <> 1 or last_rank <> rows or ranks <> rows or rows > settings.top_k)
            as users_with_rank_gaps
    from listed
    cross join settings
),

of_users as (
    select
        count(*) filter (where possible > 0 and rows = 0) as users_without_rows,
        count(*) filter (where rows < possible) as users_short_of_rows
    from (
        select
            coalesce(listed.rows, 0) as rows,
            least(
                settings.top_k,
                -- So many items keep to a cap whatever their categories are.
                coalesce(settings.category_cap, settings.top_k),
                (select count(*) from allowed) - coalesce(seen.items, 0)
            ) as possible
        from dim_users
        cross join settings
        left join listed on dim_users.user_id = listed.user_id
        left join seen on dim_users.user_id = seen.user_id
    )
),

of_citations as (
    select
        count(*) filter (where own_events.event_id is null) as citations_of_other_events,
        count(*) filter (
            where own_events.event_id is not null
            and (cited.event.item_id, cited.event.event_type, cited.event.event_at)
            is distinct from (own_events.item_id, own_events.event_type, own_events.event_at)
        ) as citations_that_differ,
        count(*) filter (where coalesce(cited.event.event_at >= $as_of, true)) as citations_not_before_as_of
    from cited
    left join own_events on cited.user_id = own_events.user_id and cited.event.event_id = own_events.event_id
)

select
    if($nightly, rows, null) as recommended_rows,
    of_rows.* exclude (rows),
    of_items.*,
    of_blocked.*,
    of_seen.*,
    of_ranks.*,
    of_users.*,
    of_citations.*,
    if($nightly, (select count(*) from popular_recommendations), null) as popular_rows,
    if(
        $nightly and exists(select 1 from dim_items semi join allowed using (item_id) where category is not null),
        (select count(*) from popular_by_category),
        null
    ) as popular_by_category_rows
from of_rows, of_items, of_blocked, of_seen, of_ranks, of_users, of_citations

with
events as (
    select * from {{ ref('int_events__deduplicated') }}
    where item_id is not null
),

weights as (
    select * from {{ ref('int_event_weights') }}
),

take_backs as (
    select
        events.*,
        weights.takes_back
    from events
    inner join weights on events.event_type = weights.event_type
    where weights.takes_back <> 'any'
),

-- Few pairs have a take-back: the rest is not ordered.
concerned as (
    select
        events.event_id,
        events.user_id,
        events.item_id,
        events.event_type as taken_type,
        events.event_at,
        false as takes,
        coalesce(try_cast(if(events.event_value > 0, events.event_value, null) as decimal(28, 6)), 1) as pieces
    from events
    semi join take_backs
        on
            events.user_id = take_backs.user_id
            and events.item_id = take_backs.item_id
            and events.event_type = take_backs.takes_back
    union all
    select
        event_id,
        user_id,
        item_id,
        takes_back as taken_type,
        event_at,
        true as takes,
        try_cast(nullif(abs(event_value), 0) as decimal(28, 6)) as pieces
    from take_backs
),

-- Without a quantity nobody knows how many pieces: purchases count whole there, one each.
counted as (
    select
        * exclude (pieces),
        case
            when bool_or(pieces is null) over (partition by user_id, item_id, taken_type) then 1
            else pieces
        end as pieces
    from concerned
),

added as (
    select
        *,
        sum(if(takes, -pieces, pieces)) over ordered as balance
    from counted
    window ordered as (
        partition by user_id, item_id, taken_type order by event_at, takes, event_id
        rows between unbounded preceding and current row
    )
),

-- What the user holds, never below nothing: a take-back of more than is held takes what is there.
held as (
    select
        *,
        balance - least(0, min(balance) over ordered) as held_after
    from added
    window ordered as (
        partition by user_id, item_id, taken_type order by event_at, takes, event_id
        rows between unbounded preceding and current row
    )
),

bounded as (
    select
        *,
        coalesce(lag(held_after) over ordered, 0) as held_before,
        min(held_after) over (
            partition by user_id, item_id, taken_type order by event_at, takes, event_id
            rows between current row and unbounded following
        ) as least_held_later
    from held
    window ordered as (partition by user_id, item_id, taken_type order by event_at, takes, event_id)
)

select
    event_id,
    user_id,
    item_id,
    taken_type,
    event_at,
    takes,
    pieces,
    case
        when takes then pieces - (held_before - held_after)
        else greatest(least_held_later - held_before, 0)
    end as pieces_left
from bounded

"""The user's own events with their exact shares in the parts of a score that are linear in events."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.ranking.catalogue import Catalogue, to_matrix
from tideline.ranking.pairs import Indices
from tideline.ranking.plan import RankingPlan
from tideline.run import Run

LINEAR_PARTS = ("long", "short", "own_history")
"""Parts that divide into contributions of single events, in the order of `Events.part`."""


@dataclass(frozen=True)
class Events:
    """Rows (event, part), ordered by user, then newest first; an event in two parts has two rows.

    A share is the event's part of the weighted mean (`long`, `short`: decay weight over the sum of decay weights of
    the window's events with a vector) or of the decayed weight that the user has on the item (`own_history`).
    Shares of a window sum to 1, and so do those of (user, item) in `own_history`.
    """

    starts: Indices
    """[users + 1] rows of user u are `starts[u]:starts[u + 1]`."""
    part: Indices
    """Index into `LINEAR_PARTS`."""
    item: Indices
    """Item index, -1 for none (a search)."""
    share: NDArray[np.float64]
    vector: Indices
    """Row of `bank`; 0 and unused for `own_history`."""
    bank: NDArray[np.float32]
    """[items + texts, d]: item vectors, then one row for each event with text: the mean of its item's and its own."""
    event_id: pa.Array
    event_type: pa.Array
    """Null where the event is older than both windows: the history keeps its id and time only."""
    event_at: pa.Array


def load_events(connection: duckdb.DuckDBPyConnection, run: Run, plan: RankingPlan, catalogue: Catalogue) -> Events:
    """Read the window events of the block's users and give each its share.

    The tables `block_users`, `block_history` and `items` must have been loaded. Weights are summed as decimals, so
    the same rows give the same shares however many threads work.
    """
    connection.execute(
        """
        create or replace temp table block_events as
        select u.user_index, w.part, w.event_id, i.item, coalesce(i.has_vector, false) as item_has_vector,
            w.event_type, w.event_at, w.weight::decimal(18, 6) as weight, w.decay_weight::decimal(18, 9) as decay_weight
        from block_users as u
        inner join (
            select 0 as part, user_id, event_id, item_id, event_type, event_at, weight, decay_weight
            from read_parquet($long)
            union all
            select 1 as part, user_id, event_id, item_id, event_type, event_at, weight, decay_weight
            from read_parquet($short)
        ) as w on w.user_id = u.user_id
        left join items as i on i.item_id = w.item_id
        """,
        {
            "long": str(run.tables / "long_window_behaviour.parquet"),
            "short": str(run.tables / "short_window_behaviour.parquet"),
        },
    )
    texts = _load_texts(connection, run, catalogue)
    bank = np.concatenate([catalogue.vectors, texts]) if len(texts) else catalogue.vectors
    table = connection.execute(
        f"{_VECTOR_SHARES} union all {_OWN_SHARES if plan.repeats_allowed else _NO_OWN_SHARES} "
        "order by user_index, event_at desc, event_id, part",
        {"items": catalogue.size}
        | ({"as_of": plan.as_of, "half_life": plan.history_half_life_days} if plan.repeats_allowed else {}),
    ).to_arrow_table()
    row = connection.execute("select count(*) from block_users").fetchone()
    user = table["user_index"].to_numpy()
    return Events(
        starts=np.searchsorted(user, np.arange((row[0] if row else 0) + 1)),
        part=table["part"].to_numpy(),
        item=table["item"].to_numpy(),
        share=table["share"].to_numpy(),
        vector=table["vector"].to_numpy(),
        bank=bank,
        event_id=table["event_id"].combine_chunks(),
        event_type=table["event_type"].combine_chunks(),
        event_at=table["event_at"].combine_chunks(),
    )


def _load_texts(connection: duckdb.DuckDBPyConnection, run: Run, catalogue: Catalogue) -> NDArray[np.float32]:
    """Leave `block_texts` (event_id, text_row); return the vectors [texts, d] that stand for events with text.

    An event's weight is split equally between its item and its text, so such an event is worth their mean.
    """
    connection.execute(
        """
        create or replace temp table block_texts as
        select row_number() over (order by event_id) - 1 as text_row, event_id, vector, item, item_has_vector
        from read_parquet($1)
        inner join (select distinct event_id, item, item_has_vector from block_events) using (event_id)
        where vector is not null
        """,
        [str(run.vectors / "event_vectors.parquet")],
    )
    table = connection.execute(
        "select vector, case when item_has_vector then item else -1 end as item from block_texts order by text_row"
    ).to_arrow_table()
    vectors = to_matrix(table["vector"], catalogue.vectors.shape[1])
    item = table["item"].to_numpy()
    both = np.flatnonzero(item >= 0)
    vectors[both] = (vectors[both] + catalogue.vectors[item[both]]) / 2
    return vectors


_VECTOR_SHARES = """
select e.user_index, e.part::bigint as part, e.event_id, coalesce(e.item, -1) as item, e.event_type, e.event_at,
    e.decay_weight::double / (sum(e.decay_weight) over (partition by e.user_index, e.part))::double as share,
    coalesce($items + t.text_row, e.item) as vector
from block_events as e
left join block_texts as t using (event_id)
where e.item_has_vector or t.text_row is not null
"""

_NO_OWN_SHARES = "select * from (" + _VECTOR_SHARES + ") where false"

# The history counts all events before as_of, the windows may hold fewer. What events outside both windows added to the
# decayed weight is cited under the last event of the pair, so that the shares always sum to one.
_OWN_SHARES = """
select user_index, 2::bigint as part, event_id, item, event_type, event_at, share::double as share, 0::bigint as vector
from (
    with positive as (select * from block_history where decayed_weight > 0),
    own as (
        select distinct on (e.user_index, e.event_id)
            e.user_index, e.event_id, e.item, e.event_type, e.event_at, p.last_event_id,
            (e.weight::double * case
                when $half_life::double is null then 1
                else pow(0.5, epoch($as_of::timestamp - e.event_at) / 86400.0 / $half_life)
            end / p.decayed_weight)::decimal(28, 18) as share
        from block_events as e
        inner join positive as p on p.user_index = e.user_index and p.item = e.item
        order by e.user_index, e.event_id, e.part
    ),
    rest as (
        select p.user_index, p.item, p.last_event_id, p.last_event_type, p.last_event_at,
            1 - coalesce(sum(o.share), 0) as share,
            coalesce(bool_or(o.event_id = p.last_event_id), false) as last_is_listed
        from positive as p
        left join own as o on o.user_index = p.user_index and o.item = p.item
        group by all
    )
    select o.user_index, o.event_id, o.item, o.event_type, o.event_at,
        case when o.event_id = o.last_event_id then o.share + r.share else o.share end as share
    from own as o
    inner join rest as r on r.user_index = o.user_index and r.item = o.item
    union all
    select user_index, last_event_id, item, last_event_type, last_event_at, share from rest where not last_is_listed
)
"""

"""The users' own events with their exact shares in the features of a score that are linear in events."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.ranking.inputs import Inputs
from tideline.ranking.learned.past import Indices
from tideline.ranking.learned.sources.history import HALF_LIFE
from tideline.run import Run

LONG, SHORT, OWN, LIKE = range(4)
"""What a row of `Events` supports: the long or the short vector, the own history, the likeness to what was had."""


@dataclass(frozen=True)
class Events:
    """Rows (event, what it supports), ordered by user, then newest first; an event that supports two has two rows.

    A share is the event's part of the weighted mean (`LONG`, `SHORT`: decay weight over the sum of those of the
    window's events with a vector), of the decayed count of a (user, item) pair (`OWN`), or 1 for the last event of a
    pair (`LIKE`, where a pair counts once).
    """

    starts: Indices
    """[users + 1] rows of user u are `starts[u]:starts[u + 1]`."""
    kind: Indices
    item: Indices
    """Item number, -1 for none (a search)."""
    share: NDArray[np.float64]
    vector: Indices
    """Row of `bank`; unused for `OWN` and `LIKE`."""
    bank: NDArray[np.float32]
    """[items + texts, d]: item vectors, then one row for each event with text: the mean of its item's and its own."""
    times: Indices
    """How often the user had the item, for `LIKE`; else 0."""
    event_id: pa.Array
    event_type: pa.Array
    event_at: pa.Array


def load_items(connection: duckdb.DuckDBPyConnection, inputs: Inputs) -> None:
    """Leave the temporary tables `items` (item, item_id, has_vector) and `users` (position, user_id)."""
    has_vector = inputs.past.vectors.any(axis=1)
    for name, key, ids, more in (
        ("items", "item", inputs.catalogue.item_id, {"has_vector": has_vector}),
        ("users", "position", inputs.user_id, {}),
    ):
        table = pa.table({key: np.arange(len(ids)), f"{name[:-1]}_id": ids, **more})
        connection.register("given", table)
        connection.execute(f"create or replace temp table {name} as select * from given")
        connection.unregister("given")


def load_events(connection: duckdb.DuckDBPyConnection, run: Run, inputs: Inputs, first: int, last: int) -> Events:
    """Read the events of users `first` to `last`; see `load_events_of`."""
    return load_events_of(connection, run, inputs, np.arange(first, last))


def load_events_of(connection: duckdb.DuckDBPyConnection, run: Run, inputs: Inputs, users: Indices) -> Events:
    """Read the events of some users, by their numbers, and give each its share; needs `load_items`.

    Weights are summed as decimals, so the same rows give the same shares however many threads work.
    """
    connection.register("given", pa.table({"user_index": np.arange(users.size), "position": users}))
    connection.execute(
        "create or replace temp table block_users as "
        "select user_index, user_id from given inner join users using (position)"
    )
    connection.unregister("given")
    connection.execute(
        _WINDOWS,
        {
            "long": str(run.tables / "long_window_behaviour.parquet"),
            "short": str(run.tables / "short_window_behaviour.parquet"),
        },
    )
    texts = _load_texts(connection, run, inputs.past.vectors)
    bank = np.concatenate([inputs.past.vectors, texts]) if len(texts) else inputs.past.vectors
    table = connection.execute(
        _SHARES,
        {
            "items": inputs.catalogue.size,
            "events": str(run.tables / "user_events.parquet"),
            "as_of": inputs.plan.as_of,
            "half_life": HALF_LIFE,
        },
    ).to_arrow_table()
    user = table["user_index"].to_numpy()
    return Events(
        starts=np.searchsorted(user, np.arange(users.size + 1)),
        kind=table["kind"].to_numpy(),
        item=table["item"].to_numpy(),
        share=table["share"].to_numpy(),
        vector=table["vector"].to_numpy(),
        bank=bank,
        times=table["times"].to_numpy(),
        event_id=table["event_id"].combine_chunks(),
        event_type=table["event_type"].combine_chunks(),
        event_at=table["event_at"].combine_chunks(),
    )


def _load_texts(connection: duckdb.DuckDBPyConnection, run: Run, items: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave `block_texts` (event_id, text_row); return the vectors [texts, d] that stand for events with text.

    An event's weight is split equally between its item and its text, so such an event is worth their mean.
    """
    connection.execute(
        """
        create or replace temp table block_texts as
        select row_number() over (order by event_id) - 1 as text_row, event_id, vector, item, item_has_vector
        from read_parquet($1)
        inner join (select distinct event_id, item, item_has_vector from block_events) using (event_id)
        where vector is not null and $2
        """,
        # Where no item has a vector, a text can be compared with nothing.
        [str(run.vectors / "event_vectors.parquet"), items.shape[1] > 0],
    )
    table = connection.execute(
        "select vector, case when item_has_vector then item else -1 end as item from block_texts order by text_row"
    ).to_arrow_table()
    if not len(table):
        return np.zeros((0, items.shape[1]), dtype=np.float32)
    flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors: NDArray[np.float32] = flat.reshape(len(table), -1).astype(np.float32)
    item = table["item"].to_numpy()
    both = np.flatnonzero(item >= 0)
    vectors[both] = (vectors[both] + items[item[both]]) / 2
    return vectors


_WINDOWS = f"""
create or replace temp table block_events as
select u.user_index, w.kind, w.event_id, i.item, coalesce(i.has_vector, false) as item_has_vector,
    w.event_type, w.event_at, w.decay_weight::decimal(18, 9) as decay_weight
from block_users as u
inner join (
    select {LONG} as kind, user_id, event_id, item_id, event_type, event_at, decay_weight from read_parquet($long)
    union all
    select {SHORT} as kind, user_id, event_id, item_id, event_type, event_at, decay_weight from read_parquet($short)
) as w on w.user_id = u.user_id
left join items as i on i.item_id = w.item_id
"""

_SHARES = f"""
with
own as (
    select u.user_index, e.event_id, i.item, e.event_type, e.event_at,
        -- Against the newest of the pair: against as_of, what is some years old would weigh nothing.
        pow(0.5, epoch(max(e.event_at) over (partition by u.user_index, i.item) - e.event_at) / 86400.0 / $half_life)
            ::decimal(28, 18) as weight,
        row_number() over (partition by u.user_index, i.item order by e.event_at desc, e.event_id desc) as newest,
        count(*) over (partition by u.user_index, i.item) as times
    from read_parquet($events) as e
    inner join block_users as u on u.user_id = e.user_id
    inner join items as i on i.item_id = e.item_id
    where e.event_at < $as_of::timestamp
)
select e.user_index, e.kind::bigint as kind, e.event_id, coalesce(e.item, -1) as item, e.event_type, e.event_at,
    e.decay_weight::double / (sum(e.decay_weight) over (partition by e.user_index, e.kind))::double as share,
    coalesce($items + t.text_row, e.item) as vector, 0::bigint as times
from block_events as e
left join block_texts as t using (event_id)
where e.item_has_vector or t.text_row is not null
union all
select user_index, {OWN}::bigint, event_id, item, event_type, event_at,
    weight::double / (sum(weight) over (partition by user_index, item))::double, 0::bigint, 0::bigint
from own
union all
select user_index, {LIKE}::bigint, event_id, item, event_type, event_at, 1.0, 0::bigint, times from own where newest = 1
order by user_index, event_at desc, event_id, kind
"""

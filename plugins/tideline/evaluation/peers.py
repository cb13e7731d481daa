"""Peers: simple recommenders that a published list must be compared with."""

from __future__ import annotations

from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.ranking.candidates.interest import nearest_allowed
from tideline.ranking.pairs import pair_keys


def popular(history: pa.Table, users: pa.Array, k: int, *, since: datetime | None = None, new_only: bool) -> pa.Table:
    """Recommend the items with most events, all of them or those from `since` on; ties by item id.

    Parameters
    ----------
    history
        user_id, item_id, event_at.
    users
        Whom to recommend to, each once.
    k
        Rows a user, fewer where there are fewer items.
    new_only
        Leave out what the user has a history with.

    Returns
    -------
    pa.Table
        user_id, rank, item_id.
    """
    with duckdb.connect() as connection:
        connection.register("history", history)
        connection.register("users", pa.table({"user_id": users}))
        return connection.execute(
            """
            with ordered as (
                select item_id, row_number() over (order by count(*) desc, item_id) as place
                from history where $since::timestamp is null or event_at >= $since::timestamp group by item_id
            ),
            seen as (
                select distinct h.user_id, h.item_id from history as h semi join users as u using (user_id)
                where $new_only
            ),
            depths as (
                select u.user_id, count(s.item_id) + $k as depth from users as u left join seen as s using (user_id)
                group by u.user_id
            )
            select d.user_id, row_number() over (partition by d.user_id order by o.place)::integer as rank, o.item_id
            from depths as d
            inner join ordered as o on o.place <= d.depth
            anti join seen as s on s.user_id = d.user_id and s.item_id = o.item_id
            qualify rank <= $k
            order by d.user_id, rank
            """,
            {"since": since, "new_only": new_only, "k": k},
        ).to_arrow_table()


def nearest_text(
    user_id: pa.Array,
    vectors: NDArray[np.float32],
    item_id: pa.Array,
    item_vectors: NDArray[np.float32],
    history: pa.Table,
    k: int,
    *,
    new_only: bool,
) -> pa.Table:
    """Recommend by the cosine of mean text vectors: the items nearest to the user's fused vector.

    Parameters
    ----------
    user_id, vectors
        [u] and [u, d] unit rows.
    item_id, item_vectors
        [n] and [n, d] unit rows.
    history
        user_id, item_id: left out of the lists if `new_only`.

    Returns
    -------
    pa.Table
        user_id, rank, item_id.
    """
    users, items = len(user_id), len(item_id)
    seen_keys = np.empty(0, dtype=np.int64)
    if new_only:
        with duckdb.connect() as connection:
            connection.register("history", history)
            connection.register("users", pa.table({"user_id": user_id, "user_index": np.arange(users)}))
            connection.register("items", pa.table({"item_id": item_id, "item": np.arange(items)}))
            seen = connection.execute(
                "select distinct user_index, item from history join users using (user_id) join items using (item_id) "
                "order by all"
            ).to_arrow_table()
        seen_keys = pair_keys(seen["user_index"].to_numpy(), seen["item"].to_numpy(), items)
    user, item = nearest_allowed(vectors, np.arange(users), item_vectors, np.ones(items, dtype=bool), seen_keys, k)
    rank = np.arange(user.size) - np.searchsorted(user, user) + 1
    return pa.table({"user_id": user_id.take(user), "rank": rank.astype(np.int32), "item_id": item_id.take(item)})

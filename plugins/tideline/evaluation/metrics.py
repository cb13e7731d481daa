"""Metrics of ranked lists, per user and averaged, relevance being yes or no."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

METRICS = ("ndcg", "recall", "hit_rate")


def score_users(recommendations: pa.Table, test: pa.Table, k: int = 10) -> pa.Table:
    """Score each user of the test by the first k rows of his list.

    With n relevant items of a user and the ranks r of those in his first k:

    - `ndcg`: the sum of 1 / log2(r + 1), over the same sum for ranks 1 to min(k, n);
    - `recall`: the number of such ranks, over n (not over min(k, n));
    - `hit_rate`: 1 if there is any, else 0.

    Who has no list scores 0; lists of users outside the test are left out.

    Parameters
    ----------
    recommendations
        user_id, rank (1-based), item_id.
    test
        user_id, item_id: the relevant pairs, each once.
    k
        How much of the list counts.

    Returns
    -------
    pa.Table
        user_id, ndcg, recall, hit_rate; one row for each user of the test, ordered by user_id.

    Raises
    ------
    ValueError
        If k is below 1, or a list names an item or a rank twice.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    with duckdb.connect() as connection:
        connection.register("recommendations", recommendations)
        connection.register("test", test)
        users = connection.execute(
            "select user_id, count(*) as relevant from test group by user_id order by user_id"
        ).to_arrow_table()
        connection.register("users", users)
        twice = connection.execute(
            """
            select count(*) - count(distinct (user_id, item_id)) + count(*) - count(distinct (user_id, rank))
            from recommendations
            """
        ).fetchone()
        if twice and twice[0]:
            raise ValueError(f"{twice[0]} items or ranks occur twice in a user's list: metrics would count them twice")
        hits = connection.execute(
            """
            with numbered as (select user_id, row_number() over (order by user_id) - 1 as position from users)
            select n.position, r.rank::bigint as rank
            from recommendations as r
            inner join test as t on t.user_id = r.user_id and t.item_id = r.item_id
            inner join numbered as n on n.user_id = r.user_id
            where r.rank <= $1
            order by n.position, r.rank
            """,
            [k],
        ).to_arrow_table()
    relevant = users["relevant"].to_numpy()
    position, rank = hits["position"].to_numpy(), hits["rank"].to_numpy()
    gains = 1 / np.log2(np.arange(1, k + 1) + 1)
    ideal = np.cumsum(gains)[np.minimum(relevant, k) - 1]
    found = np.bincount(position, minlength=relevant.size)
    return pa.table(
        {
            "user_id": users["user_id"],
            "ndcg": np.bincount(position, weights=gains[rank - 1], minlength=relevant.size) / ideal,
            "recall": found / relevant,
            "hit_rate": np.minimum(found, 1).astype(np.float64),
        }
    )


def evaluate(recommendations: pa.Table, test: pa.Table, k: int = 10) -> dict[str, float]:
    """Average `score_users` over the users of the test; also `users`, how many there are. Without users all is NaN."""
    scores = score_users(recommendations, test, k)
    return average(scores)


def average(scores: pa.Table) -> dict[str, float]:
    """Average a table of `score_users`, or a part of it."""
    if scores.num_rows == 0:
        return {**dict.fromkeys(METRICS, float("nan")), "users": 0}
    return {**{name: float(pc.mean(scores[name]).as_py()) for name in METRICS}, "users": scores.num_rows}

"""One block of users: their vectors, their history and what they may not be shown."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.ranking.catalogue import Catalogue, to_matrix
from tideline.ranking.events import Events, load_events
from tideline.ranking.pairs import Indices
from tideline.ranking.plan import RankingPlan
from tideline.ranking.rules import excluded_keys
from tideline.run import Run


@dataclass(frozen=True)
class Interests:
    """The users' vectors as `contracts.USER_VECTORS` defines them; zero rows and NaN where a user has none."""

    long: NDArray[np.float32]
    """[users, d]"""
    short: NDArray[np.float32]
    fused: NDArray[np.float32]
    has_long: NDArray[np.bool_]
    """[users]"""
    has_short: NDArray[np.bool_]
    has_fused: NDArray[np.bool_]
    gate: NDArray[np.float64]
    long_norm: NDArray[np.float64]
    short_norm: NDArray[np.float64]
    fused_norm: NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """(user, item) pairs of all events before `as_of`, ordered by user and item; items of the catalogue only."""

    user: Indices
    item: Indices
    events: Indices
    decayed_weight: NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """Users of one block, indexed from 0 in the order of their ids."""

    user_id: pa.Array
    interests: Interests
    history: History
    events: Events
    """The users' events that support a score."""
    excluded: Indices
    """Sorted keys of the pairs that may not be shown."""
    excluded_count: Indices
    """[users]"""

    @property
    def size(self) -> int:
        """Number of users."""
        return len(self.user_id)


def load_users(connection: duckdb.DuckDBPyConnection, run: Run) -> int:
    """Number the users of `dim_users` by id in the temporary table `users`; return how many there are."""
    connection.execute(
        "create or replace temp table users as "
        "select row_number() over (order by user_id) - 1 as position, user_id from read_parquet($1)",
        [str(run.tables / "dim_users.parquet")],
    )
    row = connection.execute("select count(*) from users").fetchone()
    return int(row[0]) if row else 0


def load_block(
    connection: duckdb.DuckDBPyConnection, run: Run, plan: RankingPlan, catalogue: Catalogue, first: int, size: int
) -> Block:
    """Read users `first` to `first + size`; the tables `users` and `items` must have been loaded."""
    connection.execute(
        "create or replace temp table block_users as select position - $first as user_index, user_id from users "
        "where position >= $first and position < $first + $size",
        {"first": first, "size": size},
    )
    users = connection.execute("select user_id from block_users order by user_index").to_arrow_table()["user_id"]
    history = _load_history(connection, run)
    excluded = excluded_keys(history.user, history.item, catalogue.size, repeats_allowed=plan.repeats_allowed)
    return Block(
        user_id=users.combine_chunks(),
        interests=_load_interests(connection, run, catalogue.vectors.shape[1]),
        history=history,
        events=load_events(connection, run, plan, catalogue),
        excluded=excluded,
        excluded_count=np.bincount(excluded // max(catalogue.size, 1), minlength=len(users)).astype(np.int64),
    )


def _load_interests(connection: duckdb.DuckDBPyConnection, run: Run, dimension: int) -> Interests:
    table = connection.execute(
        """
        select v.long, v.short, v.fused, v.gate, v.long_norm, v.short_norm, v.fused_norm
        from block_users as u left join read_parquet($1) as v on v.user_id = u.user_id
        order by u.user_index
        """,
        [str(run.vectors / "user_vectors.parquet")],
    ).to_arrow_table()
    scalar = {
        name: table[name].cast(pa.float64()).to_numpy() for name in ("gate", "long_norm", "short_norm", "fused_norm")
    }
    matrix = {name: to_matrix(table[name], dimension) for name in ("long", "short", "fused")}
    present = {name: table[name].is_valid().to_numpy() for name in matrix}
    return Interests(
        long=matrix["long"],
        short=matrix["short"],
        fused=matrix["fused"],
        has_long=present["long"],
        has_short=present["short"],
        has_fused=present["fused"],
        gate=scalar["gate"],
        long_norm=scalar["long_norm"],
        short_norm=scalar["short_norm"],
        fused_norm=scalar["fused_norm"],
    )


def _load_history(connection: duckdb.DuckDBPyConnection, run: Run) -> History:
    # The temporary table also serves the shares of the user's own events.
    connection.execute(
        """
        create or replace temp table block_history as
        select u.user_index, i.item, h.events, h.decayed_weight::double as decayed_weight,
            h.last_event_id, h.last_event_type, h.last_event_at
        from block_users as u
        inner join read_parquet($1) as h on h.user_id = u.user_id
        inner join items as i on i.item_id = h.item_id
        """,
        [str(run.tables / "user_item_history.parquet")],
    )
    table = connection.execute(
        "select user_index, item, events::bigint as events, decayed_weight from block_history order by user_index, item"
    ).to_arrow_table()
    return History(
        user=table["user_index"].to_numpy(),
        item=table["item"].to_numpy(),
        events=table["events"].to_numpy(),
        decayed_weight=table["decayed_weight"].to_numpy(),
    )

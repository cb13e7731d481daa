"""Global time split: everybody's events before one instant are known, those of the days after it are to be foretold.

Users and items are numbered once for a split, so that peers, lists and metrics work on plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Mode = Literal["repeats", "new"]
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class History:
    """Events before a cutoff, `[n]` each, in the order of time."""

    user: Indices
    item: Indices
    age: NDArray[np.float64]
    """Days before the cutoff, above 0."""
    weight: NDArray[np.float64]
    users: int
    """How many users there are: `user` runs from 0 to `users - 1`, and every one has an event."""
    items: int
    """How many items there are, those without an event among them."""

    def matrix(self, value: NDArray[np.float64] | None = None) -> Any:
        """Return `[users, items]` sparse (scipy CSR, float64): the sum of `value` of each pair, of 1 if not given."""
        from scipy.sparse import csr_array

        values = np.ones(self.user.size) if value is None else value
        matrix = csr_array((values, (self.user, self.item)), shape=(self.users, self.items))
        matrix.sum_duplicates()
        return matrix

    @cached_property
    def pairs(self) -> Any:
        """`matrix` with a 1 for each pair that there is (scipy CSR, float32)."""
        matrix = self.matrix().astype(np.float32)
        matrix.data[:] = 1
        return matrix


@dataclass(frozen=True)
class Split:
    """One cutoff with what lies before and after it."""

    cutoff: datetime
    """UTC, without a zone."""
    horizon_days: float
    user_id: pa.Array
    """Ids of the users with history, ascending."""
    item_id: pa.Array
    """Ids of the items: those with an event before the cutoff ascending, then the others."""
    history: History
    test_user: Indices
    test_item: Indices
    """`[m]` wanted pairs, each once, ascending by user and item: events from the cutoff to the end of the horizon."""

    def wanted(self, mode: Mode) -> tuple[Indices, Indices]:
        """Return the wanted pairs: all of them (`repeats`), or those that the history does not hold (`new`)."""
        if mode == "repeats":
            return self.test_user, self.test_item
        known = np.unique(self.history.user * self.history.items + self.history.item)
        new = ~np.isin(self.test_user * self.history.items + self.test_item, known)
        return self.test_user[new], self.test_item[new]

    def test_users(self, mode: Mode) -> Indices:
        """Return the users with a wanted item, ascending."""
        return np.unique(self.wanted(mode)[0])

    def to_lists(self, recommendations: pa.Table, users: Indices, depth: int) -> Indices:
        """Turn a table of `user_id`, `rank` (1-based), `item_id` into lists `[len(users), depth]`, -1 for no item.

        Rows of other users and below `depth` are left out.

        Raises
        ------
        ValueError
            If a list names an item or a rank twice, or an item that the split does not number.
        """
        row = pc.index_in(recommendations["user_id"], value_set=self.user_id.take(pa.array(users)))
        rank = recommendations["rank"].to_numpy().astype(np.int64)
        kept = row.is_valid().to_numpy(zero_copy_only=False) & (rank <= depth)
        code = pc.index_in(recommendations["item_id"], value_set=self.item_id).fill_null(-1).to_numpy()[kept]
        place, rank = row.fill_null(-1).to_numpy()[kept].astype(np.int64), rank[kept]
        if (code < 0).any():
            raise ValueError(f"{(code < 0).sum()} recommended items are not numbered: name them in `more_items`")
        twice = sum(
            place.size - np.unique(place * size + key).size for key, size in ((code, self.history.items), (rank, depth + 1))
        )
        if twice:
            raise ValueError(f"{twice} items or ranks occur twice in a user's list: metrics would count them twice")
        lists = np.full((users.size, depth), -1, dtype=np.int64)
        lists[place, rank - 1] = code
        return lists


def split_at(
    known: pa.Table, later: pa.Table, cutoff: datetime, horizon_days: float, more_items: pa.Array | None = None
) -> Split:
    """Split events at a cutoff.

    Parameters
    ----------
    known
        `user_id`, `item_id`, `event_at` (UTC), `weight`: the events that count, as they were known at the cutoff.
        Later ones are left out.
    later
        The same, as it was known at the end of the horizon: what was taken back until then is not in it. Only events
        from the cutoff to the end of the horizon, of users with history, are wanted.
    cutoff
        In UTC; an aware one is converted.
    more_items
        Further item ids to number.

    Raises
    ------
    ValueError
        If the horizon is not positive.
    """
    if horizon_days <= 0:
        raise ValueError(f"the horizon must be more than 0 days, got {horizon_days}")
    if cutoff.tzinfo is not None:
        cutoff = cutoff.astimezone(UTC).replace(tzinfo=None)
    at = pa.scalar(cutoff, pa.timestamp("us"))
    end = pa.scalar(cutoff + timedelta(days=horizon_days), pa.timestamp("us"))
    known = known.filter(pc.less(known["event_at"], at)).sort_by("event_at")
    user_id = _sorted(known["user_id"])
    later = later.filter(pc.and_(pc.greater_equal(later["event_at"], at), pc.less(later["event_at"], end)))
    later = later.filter(pc.is_in(later["user_id"], value_set=user_id))
    items = _sorted(known["item_id"])
    others = [_sorted(column) for column in (later["item_id"], more_items) if column is not None]
    rest = _sorted(pa.chunked_array(others, pa.string()))
    item_id = pa.concat_arrays([items, rest.filter(pc.invert(pc.is_in(rest, value_set=items)))])
    moment = known["event_at"].cast(pa.timestamp("us")).to_numpy()
    history = History(
        user=_codes(known["user_id"], user_id),
        item=_codes(known["item_id"], item_id),
        age=(np.datetime64(cutoff, "us") - moment) / np.timedelta64(1, "s") / SECONDS_A_DAY,
        weight=known["weight"].cast(pa.float64()).to_numpy(),
        users=len(user_id),
        items=len(item_id),
    )
    pairs = np.unique(_codes(later["user_id"], user_id) * max(history.items, 1) + _codes(later["item_id"], item_id))
    test_user, test_item = np.divmod(pairs, max(history.items, 1))
    return Split(cutoff, horizon_days, user_id, item_id, history, test_user, test_item)


def _sorted(column: Any) -> pa.Array:
    values = pc.unique(column).cast(pa.string())
    return values.take(pc.sort_indices(values))


def _codes(column: Any, ids: pa.Array) -> Indices:
    codes: Indices = pc.index_in(column.cast(pa.string()), value_set=ids).to_numpy().astype(np.int64)
    return codes

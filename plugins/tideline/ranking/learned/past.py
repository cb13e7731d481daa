"""What is known before an instant, as arrays: the only thing that sources, features and training read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.sparse import narrowed

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]

SHORT_DAYS = 14.0
BASKET_GAP = 1.0
"""Days: events of one user within the same day before `as_of` are one basket."""


@dataclass(frozen=True)
class Interests:
    """Vectors of one instant, all of one space: of items, and of users as their windows make them; 0 without."""

    items: Vectors
    """`[items, d]` unit rows."""
    long: Vectors
    """`[rows, d]` unit rows, as the next two."""
    short: Vectors
    fused: Vectors


@dataclass(frozen=True)
class Past:
    """Events of interest before an instant, `[n]` each, in the order of time; what was taken back is not in it.

    Users and items are numbered by the caller, from 0. An item may have no event. Make it with `make_past`.
    """

    user: Indices
    item: Indices
    age: Floats
    """Days before the instant, above 0, falling."""
    weight: Floats
    users: int
    items: int
    since: Floats
    """`[items]` days since an item can be had; NaN: since its first event, so one without events is not there yet."""
    categories: Any
    """`[items, c]` scipy CSR: each row sums to 1, or 0 for an item without category. c may be 0."""
    vectors: Vectors
    """`[items, d]` unit rows, 0 where an item has no vector. d may be 0: then nothing is known of texts."""
    interests_of: Callable[[Past], Interests] | None = None
    """How vectors are made of what was known at an instant; None: `vectors`, and means of them for users."""
    known_as: Indices | None = None
    """`[rows]` the numbers that these users have where everybody was learned from, -1 for none; None: the same."""

    @property
    def rows(self) -> int:
        """How many rows user arrays have: the last one, `users`, is somebody of whom nothing is known."""
        return self.users + 1

    def before(self, days: float) -> Past:
        """Return what was known so many days earlier: later events dropped, ages re-based."""
        if days < 0:
            raise ValueError(f"what is known {-days} days later cannot be told: days must be at least 0")
        kept = self.age > days
        return replace(
            self,
            user=self.user[kept],
            item=self.item[kept],
            age=self.age[kept] - days,
            weight=self.weight[kept],
            since=self.since - days,
        )

    def of_users(self, first: int, last: int, interests: Interests | None = None) -> Past:
        """Return the events of users `first` to `last`, numbered from 0; their vectors, if they are given."""
        kept = (self.user >= first) & (self.user < last)
        known_as = np.arange(self.rows) if self.known_as is None else self.known_as
        return replace(
            self,
            user=self.user[kept] - first,
            item=self.item[kept],
            age=self.age[kept],
            weight=self.weight[kept],
            users=last - first,
            interests_of=None if interests is None else lambda _: interests,
            known_as=np.append(known_as[first:last], -1),
        )

    def only(self, users: Indices) -> Past:
        """Return the events of some users, all keeping their numbers."""
        chosen = np.zeros(self.rows, dtype=bool)
        chosen[users] = True
        kept = chosen[self.user]
        return replace(self, user=self.user[kept], item=self.item[kept], age=self.age[kept], weight=self.weight[kept])

    def within(self, first: float, last: float) -> tuple[Indices, Indices]:
        """Return the pairs (user, item), each once and ascending, with an event `first` to `last` days ago.

        The age `first` itself is outside and `last` inside: at the cutoff itself, as in a horizon after it.
        """
        part = (self.age > first) & (self.age <= last)
        keys = np.unique(self.user[part] * self.items + self.item[part])
        return keys // self.items, keys % self.items

    def matrix(self, value: Floats | None = None) -> Any:
        """Return `[rows, items]` sparse (scipy CSR, float32): the sum of `value` (1 if not given) of each pair."""
        from scipy.sparse import csr_array

        values = np.ones(self.user.size) if value is None else value
        matrix = csr_array((values, (self.user, self.item)), shape=(self.rows, self.items))
        matrix.sum_duplicates()
        return narrowed(matrix.astype(np.float32))

    def decayed(self, half_life: float) -> Any:
        """Return `matrix` with weights that halve every `half_life` days."""
        return self.matrix(self.weight * 0.5 ** (self.age / half_life))

    @cached_property
    def pairs(self) -> Any:
        """`matrix` with a 1 for each pair that there is."""
        matrix = self.matrix()
        matrix.data[:] = 1
        return matrix

    @cached_property
    def owners(self) -> Indices:
        """`[items]` how many users have had an item."""
        return np.bincount(self.pairs.indices, minlength=self.items)

    @cached_property
    def item_age(self) -> Floats:
        """`[items]` days since an item can be had: `since`, else its first event; NaN if it is not there yet."""
        first = np.full(self.items, np.nan)
        first[self.item[::-1]] = self.age[::-1]  # the earliest event is written last
        known = np.where(self.since > 0, self.since, np.nan)
        return np.where(np.isnan(first), known, np.fmax(first, known))

    @cached_property
    def there(self) -> NDArray[np.bool_]:
        """`[items]` whether an item can be had yet."""
        there: NDArray[np.bool_] = ~np.isnan(self.item_age)
        return there

    @cached_property
    def last_age(self) -> Floats:
        """`[rows]` days since a user's last event; NaN without."""
        last = np.full(self.rows, np.nan)
        last[self.user] = self.age
        return last

    @cached_property
    def basket(self) -> tuple[Indices, Indices, Indices, Floats]:
        """Baskets: what a user had on one day before the instant.

        Returns
        -------
        user, number, item : int64 `[m]`
            Each item once a basket, by user, basket from the oldest, item. `number` counts all baskets.
        age : float64 `[baskets]`
            Age of the middle of the basket's day.
        """
        day = np.floor(self.age / BASKET_GAP).astype(np.int64)
        days, items = int(day.max(initial=0)) + 1, max(self.items, 1)
        # One number for the three: sorting numbers is many times faster than sorting rows.
        if self.rows * days * items > np.iinfo(np.int64).max:
            raise ValueError(f"{self.users} users, {items} items and {days} days are too many for one number")
        entries = np.unique((self.user * days + (days - 1 - day)) * items + self.item)
        rest, item = np.divmod(entries, items)
        user, day = np.divmod(rest, days)
        day = days - 1 - day
        starts = np.ones(user.size, dtype=bool)
        starts[1:] = rest[1:] != rest[:-1]
        middle = ((day[starts] + 0.5) * BASKET_GAP).astype(np.float64)
        return user, np.cumsum(starts) - 1, item, middle

    @cached_property
    def interests(self) -> Interests:
        """The users' vectors: what `interests_of` makes, else means of the vectors of what they have had."""
        if self.interests_of is not None:
            return self.interests_of(self)
        recent = self.age <= SHORT_DAYS
        long = _unit(self.matrix(self.weight) @ self.vectors)
        short = _unit(self.matrix(self.weight * recent) @ self.vectors)
        return Interests(self.vectors, long, short, _unit(long + short))


def make_past(
    user: Indices,
    item: Indices,
    age: Floats,
    weight: Floats | None = None,
    *,
    users: int,
    items: int,
    since: Floats | None = None,
    categories: Any = None,
    vectors: Vectors | None = None,
    interests_of: Callable[[Past], Interests] | None = None,
    known_as: Indices | None = None,
) -> Past:
    """Make a `Past` of events in any order; those that lie at the instant or after it (`age` not above 0) are left out.

    Raises
    ------
    ValueError
        If a number of a user or item is out of range.
    """
    from scipy.sparse import csr_array

    weight = np.ones(len(user)) if weight is None else weight
    order = np.lexsort((item, user, -age))
    order = order[age[order] > 0]
    past = Past(
        user=user[order].astype(np.int64),
        item=item[order].astype(np.int64),
        age=age[order].astype(np.float64),
        weight=weight[order].astype(np.float64),
        users=users,
        items=items,
        since=np.full(items, np.nan) if since is None else since,
        categories=csr_array((items, 0)) if categories is None else csr_array(categories),
        vectors=np.zeros((items, 0), dtype=np.float32) if vectors is None else vectors,
        interests_of=interests_of,
        known_as=known_as,
    )
    for name, codes, size in (("user", past.user, users), ("item", past.item, items)):
        if codes.size and (codes.min() < 0 or codes.max() >= size):
            raise ValueError(f"{name} numbers must be from 0 to {size - 1}, got {codes.min()} to {codes.max()}")
    return past


def _unit(matrix: Any) -> Vectors:
    norm = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = np.divide(matrix, norm, out=np.zeros_like(matrix), where=norm > 0)
    return np.asarray(unit, dtype=np.float32)

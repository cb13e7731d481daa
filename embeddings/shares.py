"""Shares of users in vectors: a sparse matrix that is summed exactly, cut by users, and multiplied by the vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Vectors added up in float32 before their sum goes on in float64. With unit vectors and shares that sum to 1 the error
# of a mean is below (32 + 2) / 2^24 = 2e-6 of length.
ADDED_IN_FLOAT32 = 32


class Shares(NamedTuple):
    """A sparse matrix, users times vectors, by rows: no pair twice, ordered by user and by the vector's id."""

    starts: NDArray[np.int64]
    """`[users + 1]`: the entries of user u are `starts[u]` to `starts[u + 1]`."""
    row: NDArray[np.int32]
    """Row of the vector in its file."""
    share: NDArray[np.float32]

    def of(self, first: int, last: int) -> Shares:
        """Return the rows of the users `first` to `last`."""
        starts = self.starts[first : last + 1]
        entries = slice(starts[0], starts[-1])
        return Shares(starts - starts[0], self.row[entries], self.share[entries])

    def times(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the product `[users, d]`; a user's row depends on no other user."""
        from scipy.sparse import csr_array

        entries = np.diff(self.starts)
        pieces = np.maximum(-(-entries // ADDED_IN_FLOAT32), 1)
        ends = np.cumsum(pieces)
        place = np.arange(pieces.sum()) - np.repeat(ends - pieces, pieces)
        starts = np.append(np.repeat(self.starts[:-1], pieces) + place * ADDED_IN_FLOAT32, self.starts[-1])
        # Built from its parts: other constructors would sort and sum the entries again.
        product: NDArray[np.float32] = csr_array((self.share, self.row, starts), (len(place), len(vectors))) @ vectors
        several = pieces > 1
        if several.any():
            more = product[np.repeat(several, pieces)]
            firsts = np.cumsum(pieces[several]) - pieces[several]
            product = product[ends - pieces]
            product[several] = np.add.reduceat(more, firsts, dtype=np.float64)
        return product


class Events(NamedTuple):
    """Events as numbers, all `[n]`."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    """Place of the item's vector in the order of ids; -1 without."""
    text: NDArray[np.int32]
    """The same for the vector of the event's own text."""
    weight: NDArray[np.int64]
    """Not negative."""

    def at(self, rows: slice | NDArray[np.intp]) -> Events:
        """Return some of the events."""
        return Events(self.user[rows], self.item[rows], self.text[rows], self.weight[rows])


def sum_shares(
    events: Events, users: int, item_rows: NDArray[np.int32], text_rows: NDArray[np.int32]
) -> tuple[Shares, Shares]:
    """Return the shares of `users` users in items and in texts; those of a user sum to 1, or to 0 without any weight.

    An event with both vectors gives half of its weight to each. All that a user did with one vector becomes one entry,
    for which whole numbers are summed: the order of the events changes nothing.

    Parameters
    ----------
    item_rows, text_rows
        The row of the vector at each place.

    Raises
    ------
    ValueError
        If weights are too large to be summed.
    """
    # Doubled, so that a half is whole.
    weight = events.weight * (2 - ((events.item >= 0) & (events.text >= 0)))
    entries = [
        (*_sum_pairs(events.user, place, weight, max(len(rows), 1)), rows)
        for place, rows in ((events.item, item_rows), (events.text, text_rows))
    ]
    total = sum(np.bincount(owner, summed, minlength=users) for owner, _, summed, _ in entries)
    items, texts = (
        Shares(
            np.searchsorted(owner, np.arange(users + 1)),
            rows[place],
            (summed / np.maximum(total, 1)[owner]).astype(np.float32),
        )
        for owner, place, summed, rows in entries
    )
    return items, texts


def join_shares(parts: Sequence[Shares]) -> Shares:
    """Put the users of all parts below each other."""
    before = np.cumsum([0, *(part.starts[-1] for part in parts)])
    starts = (part.starts[1:] + first for part, first in zip(parts, before, strict=False))
    return Shares(
        np.concatenate([np.zeros(1, dtype=np.int64), *starts]),
        np.concatenate([np.empty(0, dtype=np.int32), *(part.row for part in parts)]),
        np.concatenate([np.empty(0, dtype=np.float32), *(part.share for part in parts)]),
    )


def cut_users(before: NDArray[np.int64], most: int, size: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield runs of users, `first` to `last`: at most `size` of them with at most `most` things, or one with more.

    User u has `before[u + 1] - before[u]` things, `[users + 1]`.
    """
    first, end = 0, len(before) - 1
    while first < end:
        full = int(np.searchsorted(before, before[first] + most, side="right")) - 1
        last = max(first + 1, min(first + (size or end), full, end))
        yield first, last
        first = last


def _sum_pairs(
    user: NDArray[np.int32], place: NDArray[np.int32], weight: NDArray[np.int64], places: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return user, place and summed weight of each pair, in order; events with place -1 are left out."""
    there = place >= 0
    if not there.all():
        user, place, weight = user[there], place[there], weight[there]
    key = user * np.int64(places) + place
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key)
        key, weight = key[order], weight[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    longest = int(np.diff(first, append=len(key)).max(initial=0))
    if longest * int(weight.max(initial=0)) > np.iinfo(np.int64).max:
        raise ValueError("the weights of a user's events are too large to sum: scale the event weights down")
    owner, of_entry = np.divmod(key[first], places)
    return owner, of_entry, np.add.reduceat(weight, first) if len(first) else weight

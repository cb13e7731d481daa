"""Exploration: places at the end of a list for new items, drawn so that a rerun draws the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.rules.facts import ItemFacts

Indices = NDArray[np.int64]

SHARPNESS = 10.0
"""An item whose cosine with the user's vector is .1 greater is drawn e times as often."""

CELLS = 2_000_000
"""Pairs of users and new items that are looked at together: it bounds memory."""


@dataclass(frozen=True)
class Explorers:
    """The users of a block, n of them, as exploration sees them."""

    seeds: NDArray[np.uint64]
    """[n] from `draw_seeds`"""
    fused: NDArray[np.float32]
    """[n, d] unit rows, 0 where a user has no vector."""
    had: Any
    """[n, items] scipy CSR: what is stored at all, the user has had."""


def draw_seeds(user_ids: Iterable[str], as_of: datetime) -> NDArray[np.uint64]:
    """Return a seed of each user for a run: the first 8 bytes of sha256 of the user's id and `as_of`, read as UTC."""
    naive = as_of.astimezone(UTC).replace(tzinfo=None) if as_of.tzinfo else as_of
    digests = (sha256(f"{user}\n{naive.isoformat()}".encode()).digest()[:8] for user in user_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def explore(
    explorers: Explorers,
    items: ItemFacts,
    days: float,
    places: int,
    listed_user: Indices,
    listed_item: Indices,
    cap: int | None,
) -> tuple[Indices, Indices]:
    """Draw new items for each user: allowed, at most `days` old, not had and not in the list.

    Items are drawn without replacement, with odds exp(SHARPNESS * cosine with the user's fused vector): the greatest of
    SHARPNESS * cosine + Gumbel noise (Kool et al. 2019). The noise is a hash of the user's seed and the item's number.

    Parameters
    ----------
    listed_user, listed_item
        [m] what the list has already; it counts for the cap.

    Returns
    -------
    user, item : int64
        By user, in the order of the draw; at most `places` a user, fewer where there are fewer new items.
    """
    new = np.flatnonzero(items.allowed & (items.age <= days))
    users = explorers.seeds.size
    drawn = np.full((users, places), -1, dtype=np.int64)
    vectors = items.vectors[new].T
    step = max(1, CELLS // max(new.size, 1))
    for first in range(0, users if new.size else 0, step):
        part = slice(first, min(first + step, users))
        key = SHARPNESS * (explorers.fused[part] @ vectors).astype(np.float64)
        key += _gumbel(explorers.seeds[part], new)
        taken = explorers.had[part][:, new].tocoo()
        key[taken.coords[0], taken.coords[1]] = -np.inf
        here = (listed_user >= part.start) & (listed_user < part.stop)
        user, item = listed_user[here] - first, listed_item[here]
        place = np.minimum(np.searchsorted(new, item), new.size - 1)
        known = new[place] == item
        key[user[known], place[known]] = -np.inf
        drawn[part] = _take(key, new, items, places, user, item, cap)
    user, place = np.nonzero(drawn >= 0)
    return user, drawn[user, place]


def _take(
    key: NDArray[np.float64],
    new: Indices,
    items: ItemFacts,
    places: int,
    user: Indices,
    item: Indices,
    cap: int | None,
) -> Indices:
    """Take the items of greatest keys, [users, places], one place after the other; -1 where none is left."""
    from scipy.sparse import csr_array

    rows = np.arange(key.shape[0])
    drawn = np.full((rows.size, places), -1, dtype=np.int64)
    if cap is not None:
        matrix = items.categories.matrix[new]
        has = csr_array((np.ones(matrix.indices.size, np.int32), matrix.indices, matrix.indptr), shape=matrix.shape)
        count = np.zeros((rows.size, len(items.categories.names)), dtype=np.int32)
        place, category = items.stretch(item)
        np.add.at(count, (user[place], category), 1)
    for column in range(places):
        if cap is not None:
            key[(has @ (count >= cap).T.astype(np.int32)).T > 0] = -np.inf
        best = key.argmax(axis=1)
        good = key[rows, best] > -np.inf
        drawn[good, column] = new[best[good]]
        key[rows[good], best[good]] = -np.inf
        if cap is not None:
            count[good] += has[best[good]].toarray()
    return drawn


def _gumbel(seeds: NDArray[np.uint64], items: Indices) -> NDArray[np.float64]:
    """Return Gumbel noise [users, items]: splitmix64 (Steele et al. 2014) of seed and item's number."""
    with np.errstate(over="ignore"):
        state = seeds[:, None] + (items.astype(np.uint64)[None, :] + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    uniform = ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    noise: NDArray[np.float64] = -np.log(-np.log(uniform))
    return noise

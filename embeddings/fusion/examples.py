"""Examples for a gate: users at an earlier moment, what they wanted next, and the items that compete."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.past import Behaviour, Spans, interests_at, wanted_pairs

K = 10


class Examples(NamedTuple):
    """Users with a wanted item against items that compete; everything that is needed to train or judge a gate."""

    user: NDArray[np.int32]
    """Ascending, `[n]`."""
    item: NDArray[np.int32]
    """Rows of the competing items, `[m]`."""
    signals: NDArray[np.float32]
    """`[n, signals]`"""
    only: NDArray[np.float32]
    """The gate of users with one window, 1 or 0; NaN for users with both, `[n]`."""
    long: NDArray[np.float32]
    """Unit vectors or zeros, `[n, d]`."""
    short: NDArray[np.float32]
    agreement: NDArray[np.float32]
    """Cosine of the two vectors, `[n]`."""
    long_scores: NDArray[np.float32]
    """Cosine of every item with the long vector, `[n, m]`."""
    short_scores: NDArray[np.float32]
    wanted: NDArray[np.bool_]
    """`[n, m]`"""
    barred: NDArray[np.bool_]
    """`[n, m]`: pairs that are not recommended."""
    wants: NDArray[np.int64]
    """Wanted items of each user, those that do not compete included, `[n]`."""

    def at(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Examples:
        """Return some of the users."""
        return self._replace(**{name: column[rows] for name, column in self._asdict().items() if name != "item"})

    def weights(self, gate: NDArray[np.floating] | float) -> NDArray[np.float32]:
        """Return the gates in effect, `[n]`: those of users with one window are given."""
        return np.where(np.isnan(self.only), gate, self.only).astype(np.float32)

    def scores(self, gate: NDArray[np.floating] | float) -> NDArray[np.float32]:
        """Return the cosines with the fused vector at a gate, `[n, m]`."""
        weight = self.weights(gate)[:, None]
        norm = np.sqrt(weight**2 + (1 - weight) ** 2 + 2 * weight * (1 - weight) * self.agreement[:, None])
        fused = (weight * self.long_scores + (1 - weight) * self.short_scores) / np.maximum(norm, np.float32(1e-6))
        return np.asarray(fused, dtype=np.float32)

    def ndcg(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return NDCG@10 of each user for scores `[n, m]`."""
        scores = np.where(self.barred, np.float32(-np.inf), scores)
        depth = min(K, scores.shape[1])
        top = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        found = np.take_along_axis(scores, top, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        hits = np.take_along_axis(self.wanted & ~self.barred, np.take_along_axis(top, order, axis=1), axis=1)
        gains = 1 / np.log2(np.arange(depth) + 2)
        ideal = np.cumsum(1 / np.log2(np.arange(K) + 2))[np.minimum(self.wants, K) - 1]
        return np.asarray(hits @ gains / ideal)


def look_back(
    behaviour: Behaviour,
    back: float,
    horizon: float,
    spans: Spans,
    items: NDArray[np.float32],
    texts: NDArray[np.float32],
    *,
    repeats: bool,
    users: int | None = None,
    competing: int | None = None,
    seed: int = 0,
) -> Examples:
    """Return the users who wanted something in the `horizon` days that began `back` days before `as_of`.

    Windows, signals and the items that compete come from events before that moment alone.

    Parameters
    ----------
    items, texts
        Unit vectors that the rows in `behaviour` point at; items with a zero row do not compete.
    repeats
        Whether a user may get what he has had; otherwise such pairs are neither wanted nor recommended.
    users, competing
        At most so many, drawn by `seed`: users evenly, items by their events. None: all.
    """
    random = np.random.default_rng(seed)
    owner, want = wanted_pairs(behaviour, back, horizon, repeats=repeats)
    chosen = np.unique(owner)
    if users is not None and len(chosen) > users:
        chosen = np.sort(random.choice(chosen, users, replace=False))
    known = behaviour.at((behaviour.age > back) & (behaviour.item >= 0))
    events = np.bincount(known.item, minlength=len(items)) * items.any(axis=1)
    rows = np.flatnonzero(events)
    if competing is not None and len(rows) > competing:
        rows = np.sort(random.choice(rows, competing, replace=False, p=events[rows] / events[rows].sum()))
    column = np.full(len(items), -1)
    column[rows] = np.arange(len(rows))
    interests = interests_at(behaviour, back, chosen, items, texts, spans)
    wanted = _mark(owner, want, chosen, column, len(rows))
    barred = np.zeros_like(wanted) if repeats else _mark(known.user, known.item, chosen, column, len(rows))
    has_long, has_short = interests.has_long, interests.has_short
    only = np.where(has_long & has_short, np.nan, has_long).astype(np.float32)
    matrix = items[rows]
    examples = Examples(
        chosen,
        rows.astype(np.int32),
        interests.signals,
        only,
        interests.long,
        interests.short,
        np.vecdot(interests.long, interests.short),
        interests.long @ matrix.T,
        interests.short @ matrix.T,
        wanted,
        barred,
        np.bincount(np.searchsorted(chosen, owner[np.isin(owner, chosen)]), minlength=len(chosen)),
    )
    return examples.at(has_long | has_short)


def _mark(
    user: NDArray[np.int32], item: NDArray[np.int32], users: NDArray[np.int32], column: NDArray[np.int64], width: int
) -> NDArray[np.bool_]:
    inside = np.isin(user, users) & (column[item] >= 0)
    marked = np.zeros((len(users), width), dtype=np.bool_)
    marked[np.searchsorted(users, user[inside]), column[item[inside]]] = True
    return marked

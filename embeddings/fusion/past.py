"""Windows as they were at an earlier moment, from events alone: what a gate is trained and judged on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.signals import Signals, gate_signals
from embeddings.shares import Events, sum_shares

Vectors = NDArray[np.float32]
_BILLION = 1_000_000_000
_NO_DIRECTION = 1e-5


class Behaviour(NamedTuple):
    """Events of interest before an `as_of`, `[n]` each."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    """Row of the item's vector, -1 without."""
    text: NDArray[np.int32]
    """Row of the vector of the event's own text, -1 without."""
    age: NDArray[np.float64]
    """Days before `as_of`, above 0."""
    weight: NDArray[np.float64]

    def at(self, chosen: NDArray[np.bool_]) -> Behaviour:
        """Return some of the events."""
        return Behaviour(self.user[chosen], self.item[chosen], self.text[chosen], self.age[chosen], self.weight[chosen])


class Spans(NamedTuple):
    """How far back the windows reach, in days, and after how many days an event counts half (None: all alike)."""

    long_days: float
    short_days: float
    long_half_life: float | None = None
    short_half_life: float | None = None
    long_ends_where_short_begins: bool = True


class Interests(NamedTuple):
    """Both windows of some users: unit vectors `[n, d]` or zeros, and what a gate looks at."""

    users: NDArray[np.int32]
    long: Vectors
    short: Vectors
    signals: Signals

    @property
    def has_long(self) -> NDArray[np.bool_]:
        """Which users have a long vector."""
        return np.asarray(self.long.any(axis=1))

    @property
    def has_short(self) -> NDArray[np.bool_]:
        """Which users have a short vector."""
        return np.asarray(self.short.any(axis=1))


def interests_at(
    behaviour: Behaviour, back: float, users: NDArray[np.int32], items: Vectors, texts: Vectors, spans: Spans
) -> Interests:
    """Return the windows of `users` (ascending) as they were `back` days before the behaviour's `as_of`.

    Only events older than that are looked at, `age > back`, weighted and summed as those of a run are
    (`embeddings.shares`). An item whose vector is 0 has none.
    """
    mine = np.searchsorted(users, behaviour.user).astype(np.int32)
    inside = (mine < len(users)) & (behaviour.age > back)
    inside[inside] = users[mine[inside]] == behaviour.user[inside]
    events, mine = behaviour.at(inside), mine[inside]
    age = events.age - back
    # The last entry is that of row -1.
    item = np.append(np.where(items.any(axis=1), np.arange(len(items)), -1), -1).astype(np.int32)[events.item]
    long_from = spans.short_days if spans.long_ends_where_short_begins else 0.0
    found, norms, shares = [], [], []
    for newest, oldest, half_life in (
        (long_from, spans.long_days, spans.long_half_life),
        (0.0, spans.short_days, spans.short_half_life),
    ):
        own = (age > newest) & (age <= oldest)
        # As dbt's macros/decayed.sql does: from the end of the window, and never to nothing.
        decay = 1.0 if half_life is None else 0.5 ** ((age[own] - newest) / half_life)
        weight = np.rint(events.weight[own] * decay * _BILLION).astype(np.int64)
        weight[events.weight[own] > 0] = np.maximum(weight[events.weight[own] > 0], 1)
        numbered = Events(mine[own], item[own], events.text[own], weight)
        numbered = numbered.at(np.argsort(numbered.user, kind="stable"))
        parts = sum_shares(
            numbered, len(users), np.arange(len(items), dtype=np.int32), np.arange(len(texts), dtype=np.int32)
        )
        mean = parts[0].times(items)
        if len(texts):
            mean += parts[1].times(texts)
        norm = np.sqrt(np.vecdot(mean, mean), dtype=np.float64)
        norm[norm < _NO_DIRECTION] = 0
        mean *= np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0).astype(np.float32)[:, None]
        found.append(mean)
        norms.append(norm)
        shares.append(parts)
    last = np.full(len(users), np.inf)
    np.minimum.at(last, mine, age)
    signals = gate_signals(found[0], found[1], norms[0], norms[1], shares[0], shares[1], last)
    return Interests(users, found[0], found[1], signals)


def wanted_pairs(
    behaviour: Behaviour, back: float, horizon: float, *, repeats: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return users and items, each pair once, of the `horizon` days that begin `back` days before `as_of`.

    Only users with an event before count. Without `repeats` a pair that there was before is left out.
    """
    known = behaviour.age > back
    later = ~known & (behaviour.age > back - horizon) & (behaviour.item >= 0)
    later &= np.isin(behaviour.user, behaviour.user[known])
    width = np.int64(behaviour.item.max(initial=0) + 1)
    keys = np.unique(behaviour.user[later] * width + behaviour.item[later])
    if not repeats:
        keys = np.setdiff1d(keys, behaviour.user[known] * width + behaviour.item[known])
    user, item = np.divmod(keys, width)
    return user.astype(np.int32), item.astype(np.int32)

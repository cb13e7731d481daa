"""Which of the user's own events stand behind a row: exact shares of features that are linear in events.

A window vector is a weighted mean of event vectors, made a unit vector; so the cosine of an item c with it is the sum
over the window's events of share_e * (v_e . c) / norm of the mean. The cosine with the fused vector is the sum of both
windows' with gate / fused_norm and (1 - gate) / fused_norm. The own history is a decayed count, a sum over the events
with the item. The likeness to what the user has had (item-kNN) is a sum over items, each cited by its last event.

A score of trees is not linear; its attributions to groups of features are. The part of a group is divided among events
in the proportions of the group's feature: `long`, `short`, `fused` by the cosine, `own_history` by the decayed count,
`co_occurrence` by item-kNN. A feature that is not above zero, or hardly, is not divided: it cites nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.events import LIKE, LONG, OWN, SHORT, Events
from tideline.ranking.learned.past import Indices
from tideline.ranking.learned.ranking import Parts

LINEAR_PARTS = ("long", "short", "fused", "own_history", "co_occurrence")
"""Parts that divide into contributions of single events, in the order of `Cited.part`."""
CITED = 3
"""Events a row cites: those with the largest absolute contribution, the newer first where equal."""
LEAST_COSINE = 0.02
"""A cosine nearer to zero is what is left of events that speak against each other: its shares would be huge."""


@dataclass(frozen=True)
class Windows:
    """What carries the windows into the fused vector, `[users]` each; NaN without vectors."""

    gate: NDArray[np.float64]
    long_norm: NDArray[np.float64]
    short_norm: NDArray[np.float64]
    fused_norm: NDArray[np.float64]


@dataclass(frozen=True)
class Cited:
    """For each row its cited events."""

    event: Indices
    """[rows, CITED] row of `Events`, -1 where there is none."""
    part: Indices
    """[rows, CITED] index into `LINEAR_PARTS`."""
    contribution: NDArray[np.float64]
    """[rows, CITED] signed; 0 where there is none."""


def cite(
    events: Events,
    windows: Windows,
    vectors: NDArray[np.float32],
    likeness: Any,
    user: Indices,
    item: Indices,
    parts: Parts,
) -> Cited:
    """Choose the cited events of ranked rows, ordered by user.

    One small product a user, [his rows, d] times [d, his events], and three passes for the maxima.

    Parameters
    ----------
    vectors
        [items, d] unit rows.
    likeness
        [items, items] of item-kNN, sparse; None: nothing is cited for `co_occurrence`.
    user, item
        [rows] numbers of the block's users and of items.
    parts
        [rows] by group, as `ranking.divide` gives them; what is missing counts 0.
    """
    cited = Cited(
        np.full((user.size, CITED), -1, dtype=np.int64),
        np.zeros((user.size, CITED), dtype=np.int64),
        np.zeros((user.size, CITED)),
    )
    linear = np.stack([parts.get(name, np.zeros(user.size)) for name in LINEAR_PARTS], axis=1)
    users = len(events.starts) - 1
    starts = np.searchsorted(user, np.arange(users + 1))
    for index in np.flatnonzero((np.diff(events.starts) > 0) & (np.diff(starts) > 0)).tolist():
        rows = slice(starts[index], starts[index + 1])
        own = slice(events.starts[index], events.starts[index + 1])
        values, place, part = contributions(events, windows, vectors, likeness, index, own, item[rows], linear[rows])
        left, line = np.abs(values), np.arange(values.shape[0])
        for turn in range(min(CITED, values.shape[1])):
            best = left.argmax(axis=1)
            value = values[line, best]
            cited.event[rows, turn] = np.where(value != 0, place[best], -1)
            cited.part[rows, turn] = part[best]
            cited.contribution[rows, turn] = value
            left[line, best] = -1.0
    return cited


def contributions(
    events: Events,
    windows: Windows,
    vectors: NDArray[np.float32],
    likeness: Any,
    user: int,
    own: slice,
    item: Indices,
    linear: NDArray[np.float64],
) -> tuple[NDArray[np.float64], Indices, Indices]:
    """Return what one user's events contribute to his rows.

    Returns
    -------
    values : [rows, m]
        The columns of a part sum to the part, or are 0 where its feature cannot be divided.
    event : [m]
        Row of `Events`.
    part : [m]
        Index into `LINEAR_PARTS`.
    """
    kind = events.kind[own]
    place = np.arange(own.start, own.stop)
    columns: list[NDArray[np.float64]] = []
    listed: list[tuple[Indices, int]] = []
    products, of_windows = [], []
    for number, (window, norm) in enumerate(((LONG, windows.long_norm), (SHORT, windows.short_norm))):
        chosen = place[kind == window]
        if not chosen.size or not norm[user] > 0:
            continue
        values = (vectors[item] @ events.bank[events.vector[chosen]].T) * events.share[chosen] / norm[user]
        columns.append(_divided(values, linear[:, number], LEAST_COSINE))
        listed.append((chosen, number))
        weight = windows.gate[user] if window == LONG else 1 - windows.gate[user]
        products.append(values * weight / windows.fused_norm[user])
        of_windows.append(chosen)
    if products:
        columns.append(_divided(np.concatenate(products, axis=1), linear[:, 2], LEAST_COSINE))
        listed.append((np.concatenate(of_windows), 2))
    chosen = place[kind == OWN]
    same = (item[:, None] == events.item[chosen]) * events.share[chosen]
    columns.append(same * linear[:, 3, None])
    listed.append((chosen, 3))
    chosen = place[kind == LIKE]
    if likeness is not None and chosen.size:
        alike = _alike(likeness, events.item[chosen], item)
        columns.append(_divided(alike, linear[:, 4], 0.0))
        listed.append((chosen, 4))
    return (
        np.concatenate(columns, axis=1),
        np.concatenate([chosen for chosen, _ in listed]),
        np.concatenate([np.full(chosen.size, part) for chosen, part in listed]),
    )


def _alike(likeness: Any, had: Indices, item: Indices) -> NDArray[np.float64]:
    """Return `[items, had]` of a sparse matrix of items to items, the rows of what was had."""
    order = np.argsort(item)
    ascending = item[order]
    alike = np.zeros((item.size, had.size))
    first, last = likeness.indptr[had], likeness.indptr[had + 1]
    size = last - first
    column = np.repeat(np.arange(had.size), size)
    entry = np.arange(column.size) + np.repeat(first - (np.cumsum(size) - size), size)
    place = np.minimum(np.searchsorted(ascending, likeness.indices[entry]), item.size - 1)
    known = ascending[place] == likeness.indices[entry]
    alike[order[place[known]], column[known]] = likeness.data[entry[known]]
    return alike


def _divided(values: NDArray, part: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Scale rows to sum to the part; 0 where they sum to nearly nothing or less."""
    total = values.sum(axis=1, dtype=np.float64)
    scale = np.divide(part, total, out=np.zeros_like(total), where=total > least)
    return np.asarray(values * scale[:, None], dtype=np.float64)

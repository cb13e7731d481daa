"""Which of the user's own events stand behind a row: exact shares of the parts that are linear in events.

A window vector is a weighted mean of event vectors, made a unit vector; so the cosine of an item c with it is the sum
over the window's events of share_e * (v_e . c) / norm of the mean. The contribution of event e to the part `long` is
therefore interest * gate / fused_norm / long_norm * share_e * (v_e . c), to `short` likewise, and to `own_history`
the part times the event's share of the decayed weight on the item. Summed over all events they give the part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.events import LINEAR_PARTS
from tideline.ranking.pairs import Indices
from tideline.ranking.ranker import PARTS, vector_coefficient

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue

CITED = 3
"""Events a row cites: those with the largest absolute contribution, the newer first where equal."""
OWN = LINEAR_PARTS.index("own_history")


@dataclass(frozen=True)
class Cited:
    """For each row its cited events."""

    event: Indices
    """[rows, CITED] row of `Block.events`, -1 where there is none."""
    contribution: NDArray[np.float64]
    """[rows, CITED] signed; 0 where there is none."""


def cite(
    block: Block, catalogue: Catalogue, weights: Mapping[str, float], user: Indices, item: Indices, parts: NDArray
) -> Cited:
    """Choose the cited events of ranked rows, ordered by user.

    One small product a user, [his rows, d] times [d, his events], and three passes for the maxima: some 150
    microseconds for 20 rows and 145 events, hardly any of it Python's. The result does not depend on the block's size.

    Parameters
    ----------
    parts
        [rows, len(PARTS)] of the rows, as `ranker.score` gives them.
    """
    cited = Cited(np.full((user.size, CITED), -1, dtype=np.int64), np.zeros((user.size, CITED)))
    own_part = parts[:, PARTS.index("own_history")]
    coefficient = event_coefficients(block, weights)
    starts = np.searchsorted(user, np.arange(block.size + 1))
    has_events = np.diff(block.events.starts) > 0
    for index in np.flatnonzero(has_events & (np.diff(starts) > 0)):
        rows = slice(starts[index], starts[index + 1])
        events = slice(block.events.starts[index], block.events.starts[index + 1])
        values = contributions(block, catalogue, coefficient, events, item[rows], own_part[rows])
        left, line = np.abs(values), np.arange(values.shape[0])
        for place in range(min(CITED, values.shape[1])):
            best = left.argmax(axis=1)
            value = values[line, best]
            cited.event[rows, place] = np.where(value != 0, best + events.start, -1)
            cited.contribution[rows, place] = value
            left[line, best] = -1.0
    return cited


def contributions(
    block: Block,
    catalogue: Catalogue,
    coefficient: NDArray[np.float64],
    events: slice,
    item: Indices,
    own_part: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the contributions [rows, events] of one user's events to his rows."""
    listed = block.events
    if listed.bank.shape[1]:
        values = (catalogue.vectors[item] @ listed.bank[listed.vector[events]].T) * coefficient[events]
    else:
        values = np.zeros((item.size, events.stop - events.start))
    own = listed.part[events] == OWN
    if own.any():
        same_item = item[:, None] == listed.item[events][own]
        values[:, own] = same_item * listed.share[events][own] * own_part[:, None]
    return values


def event_coefficients(block: Block, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return for each event row what its product with an item's vector is multiplied by; 0 for `own_history`."""
    listed, interests = block.events, block.interests
    user = np.repeat(np.arange(block.size), np.diff(listed.starts))
    coefficient = np.zeros(user.size)
    for part, norm in (("long", interests.long_norm), ("short", interests.short_norm)):
        scale = weights["interest"] * vector_coefficient(interests.gate, interests.fused_norm, part)
        scale = np.where(norm > 0, scale / np.where(norm > 0, norm, 1.0), 0.0)
        rows = listed.part == LINEAR_PARTS.index(part)
        coefficient[rows] = scale[user[rows]] * listed.share[rows]
    return coefficient

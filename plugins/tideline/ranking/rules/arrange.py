"""Arrange: from scored candidates to the published list, each rule in its turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tideline.ranking.rules.boosts import boost
from tideline.ranking.rules.caps import keep_under_cap
from tideline.ranking.rules.effects import (
    Effect,
    boosted_rows,
    explored_rows,
    lowered_rows,
    moved_rows,
    risen_rows,
)
from tideline.ranking.rules.exploration import Explorers, explore
from tideline.ranking.rules.facts import ItemFacts
from tideline.ranking.rules.settings import Rules
from tideline.ranking.rules.variety import POOL, diversify

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Scored:
    """Candidates, [n] each, by ascending user and falling score; ties in the order in which they shall stand."""

    user: Indices
    item: Indices
    score: Floats


@dataclass(frozen=True)
class Arranged:
    """The rows of the lists, [rows] each, by user and rank."""

    user: Indices
    item: Indices
    rank: Indices
    """1-based, no gaps."""
    index: Indices
    """The row's place in the scored pairs; -1 for an explored item."""
    score: Floats
    """Never rising with rank."""
    rules_part: Floats
    """What rules added to the model's own score, the part `rules` of `score_parts`; all of an explored row's score."""
    effects: tuple[Effect, ...]
    """(row, rule, effect) of the rows that a rule changed, by row and the order of the rules."""

    def rules_column(self) -> pa.Array:
        """Return the column `rules`: list of struct(rule, effect), empty where no rule changed the row."""
        rows, rules, effects = zip(*self.effects, strict=True) if self.effects else ((), (), ())
        sizes = np.bincount(np.array(rows, dtype=np.int64), minlength=self.user.size)
        offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
        values = pa.StructArray.from_arrays(
            [pa.array(rules, pa.string()), pa.array(effects, pa.string())], ["rule", "effect"]
        )
        return pa.ListArray.from_arrays(offsets, values)


def arrange(rules: Rules, scored: Scored, items: ItemFacts, k: int, explorers: Explorers | None = None) -> Arranged:
    """Make each user's list of at most k rows.

    In this order: boosts change scores; diversity reorders; caps pass over rows of full categories; exploration gives
    the last floor(exploration_share * k) places to new items, as far as there are any. With fewer candidates than
    places, or with a cap, a list may be shorter than k.

    The published score is the smaller of the row's own, after boosts, and that of the row above. With every rule off
    the lists are the first k of the scored pairs.

    Parameters
    ----------
    scored
        Pairs; who has none gets explored items alone.
    explorers
        Who is asked for, numbered as in `scored`. Needed for exploration only.

    Raises
    ------
    ValueError
        If k is below 1, or exploration is on and `explorers` are not given.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    places = rules.places(k)
    if places and explorers is None:
        raise ValueError("exploration needs the users' vectors, history and seeds: give explorers")
    users = explorers.seeds.size if explorers is not None else int(scored.user.max(initial=-1)) + 1
    rows = np.arange(scored.item.size)
    starts = np.searchsorted(scored.user, np.arange(users + 1))
    own = scored.score
    told: dict[int, list[str]] = {}
    if rules.boosts:
        added, told = boost(rules, items)
        own = scored.score + added[scored.item]
        rows = np.lexsort((rows, -own, scored.user))
    boosted = _places(rows, starts, scored.user)
    if rules.diversity:
        # A cap passes over rows, so more than k of them need their place.
        wanted = k if rules.category_cap is None else POOL * k
        rows = rows[diversify(starts, scored.item[rows], own[rows], items.vectors, k, wanted, rules.diversity)]
    varied = _places(rows, starts, scored.user)

    new_user, new_item = NOTHING, NOTHING
    if places and explorers is not None:
        room = np.full(users, k - places)
        kept, _ = _cut(rules, scored, items, rows, room, NOTHING, NOTHING)
        ahead = rows[kept]
        new_user, new_item = explore(
            explorers,
            items,
            rules.exploration_days,
            places,
            scored.user[ahead],
            scored.item[ahead],
            rules.category_cap,
        )
    room = k - np.bincount(new_user, minlength=users)
    kept, full = _cut(rules, scored, items, rows, room, new_user, new_item)

    ranked = rows[kept]
    index = np.concatenate([ranked, np.full(new_user.size, -1)])
    user = np.concatenate([scored.user[ranked], new_user])
    item = np.concatenate([scored.item[ranked], new_item])
    order = np.argsort(user, kind="stable")
    user, item, index = user[order], item[order], index[order]
    rank = np.arange(user.size) - np.searchsorted(user, user) + 1
    explored = index < 0
    score = _never_rising(user, rank, np.where(explored, np.inf, own[index] if own.size else np.inf), users, k)
    part = score - np.where(explored, 0.0, scored.score[index] if own.size else 0.0)

    effects = [
        *boosted_rows(told, item, index),
        *(moved_rows(boosted, varied, index) if rules.diversity else ()),
        *(risen_rows(rules, items, full, starts, scored.user[rows], varied, rank, index)),
        *explored_rows(items, item, index),
    ]
    effects += lowered_rows(part, effects)
    effects.sort(key=lambda effect: effect[0])
    return Arranged(user, item, rank, index, score, part, tuple(effects))


def _places(rows: Indices, starts: Indices, user: Indices) -> Indices:
    """Return the 0-based place of each scored pair in its user's list, which stands in the order of `rows`."""
    place = np.empty(rows.size, dtype=np.int64)
    place[rows] = np.arange(rows.size) - starts[user[rows]]
    return place


def _cut(
    rules: Rules,
    scored: Scored,
    items: ItemFacts,
    rows: Indices,
    room: Indices,
    reserved_user: Indices,
    reserved_item: Indices,
) -> tuple[NDArray[np.bool_], Indices]:
    """Say which of `rows` fill a user's room, reserved items passed over; and which category was full, else -1."""
    free = np.ones(rows.size, dtype=bool)
    if reserved_user.size:
        width = items.allowed.size
        free = ~np.isin(scored.user[rows] * width + scored.item[rows], reserved_user * width + reserved_item)
    user, item = scored.user[rows[free]], scored.item[rows[free]]
    if rules.category_cap is None:
        kept = np.arange(user.size) - np.searchsorted(user, user) < room[user]
        full = np.full(user.size, -1)
    else:
        kept, full = keep_under_cap(user, item, room, items, rules.category_cap, reserved_user, reserved_item)
    all_kept, all_full = np.zeros(rows.size, dtype=bool), np.full(rows.size, -1)
    all_kept[free], all_full[free] = kept, full
    return all_kept, all_full


def _never_rising(user: Indices, rank: Indices, own: Floats, users: int, k: int) -> Floats:
    """Return the smaller of each row's own score and that of the row above; 0 where no row has a score of its own."""
    lists = np.full((users, k), np.inf)
    lists[user, rank - 1] = own
    np.minimum.accumulate(lists, axis=1, out=lists)
    lists[np.isinf(lists)] = 0.0
    score: Floats = lists[user, rank - 1]
    return score

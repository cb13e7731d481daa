"""Features of (user, item) pairs: what a ranking may know of a candidate, and the group that each belongs to."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.candidates import Candidates, Pool, order_common, propose
from tideline.ranking.learned.knowledge import Knowledge, learn
from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sources import COMMON, GROUP_OF, Asked, ask_sources
from tideline.ranking.learned.sparse import trimmed
from tideline.ranking.learned.tables import Tables, make_tables

CELLS = 6_000_000
"""Pairs of users and items looked at together, at 8 bytes, in each thread."""
MOST_USERS = 512
SAID = 1_000
"""Items of a user that a source speaks of, those that it says most of: beyond it has nothing to say."""
MOST = 250
"""Candidates of a user in a catalogue of more than `MANY_ITEMS`, beside what he has had."""
MANY_ITEMS = 20_000
"""Up to so many items every candidate is looked at closely: the cut saves less there than it loses."""
ROWS = 200_000
"""Pairs whose categories are compared at once."""
OWN_RHYTHM = ("own_last", "own_first", "own_interval", "own_since", "own_due", "own_due_item")


@dataclass(frozen=True)
class Prepared:
    """The past of some users beside what was learned from everybody: ready to give features of any of them."""

    past: Past
    sources: Asked
    tables: Tables

    @property
    def block(self) -> int:
        """How many users are looked at together."""
        return max(16, min(MOST_USERS, CELLS // max(self.past.items, 1)))

    def ahead(
        self,
        users: Indices,
        allowed: NDArray[np.bool_] | None,
        depth: int,
        most: int | None = None,
        reads: Set[str] | None = None,
    ) -> Ready:
        """Find what is cheaper to find for many users at once; `describe` then takes blocks of them.

        Parameters
        ----------
        allowed
            `[items]`: what may be recommended. None: everything that can be had.
        depth, most
            Candidates of each source, and of all together. None: `MOST`, or all in a catalogue of few items.
        reads
            Names of the features that will be read; the others are not computed. None: all.
        """
        may = ~np.isnan(self.tables.item["item_age"]) if allowed is None else allowed
        sources = self.sources.ahead(users, may, depth)
        if most is None:
            most = max(MOST, depth) if self.past.items > MANY_ITEMS else self.past.items
        return Ready(replace(self, sources=sources), may, depth, most, order_common(self.sources.common, may), reads)


@dataclass(frozen=True)
class Ready:
    """What blocks of some users are described with."""

    prepared: Prepared
    allowed: NDArray[np.bool_]
    depth: int
    most: int
    orders: dict[str, Indices]
    """Items of the common sources, the best first."""
    reads: Set[str] | None = None
    """Names of the features that are read; None: all."""
    pools: SimpleQueue[Pool] = field(default_factory=SimpleQueue)

    def lend(self, rows: int) -> Pool:
        """Return a pool of zeros for so many users, which is to be put back as such."""
        try:
            pool = self.pools.get_nowait()
        except Empty:
            pool = None
        if pool is None or len(pool.grid) < rows:
            cells = (rows, self.prepared.past.items)
            pool = Pool(np.zeros(cells, dtype=np.int32), np.zeros(cells, dtype=np.float32), self.allowed)
        return pool


@dataclass(frozen=True)
class Block:
    """Candidates of some users with what the sources and tables say of them."""

    candidates: Candidates
    raw: dict[str, NDArray[np.float32]]
    """Columns `[n]`; the scores of sources go by the names of the sources."""
    sources: tuple[str, ...]
    reads: Set[str] | None
    """As of `Ready`."""


def prepare(past: Past, knowledge: Knowledge | None = None) -> Prepared:
    """Prepare the users of a past; `knowledge` is learned from that same past if it is not given."""
    known = knowledge or learn(past)
    return Prepared(past, ask_sources(known.lessons, past), make_tables(known.item, past))


def describe(ready: Ready, users: Indices, *, repeats: bool, wanted: Indices | None = None) -> Block:
    """Propose candidates of a block of users, `wanted` pairs among them, and read what is known of each pair."""
    past, tables = ready.prepared.past, ready.prepared.tables
    said = {
        name: what if name in COMMON else Said(trimmed(what.scores, max(SAID, 2 * ready.depth)), what.at)
        for name, what in ready.prepared.sources.score(users).items()
    }
    pool = ready.lend(users.size)
    found = propose(past, said, users, pool, ready.depth, ready.most, ready.orders, repeats=repeats, wanted=wanted)
    read = None if ready.reads is None else {name.split(".")[0] for name in ready.reads}
    raw = {name: _score_of(name, what, found, pool) for name, what in said.items() if read is None or name in read}
    pool.clear(past.pairs[users], found)
    ready.pools.put(pool)
    if read is None or not read <= said.keys():
        columns = _columns(tables, past, users[found.row], found.item)
        raw |= {name: column.astype(np.float32) for name, column in columns.items() if read is None or name in read}
    return Block(found, raw, tuple(said), ready.reads)


def assemble(block: Block, *, repeats: bool) -> tuple[Candidates, NDArray[np.float32], tuple[str, ...]]:
    """Make the matrix of features of the candidates that a mode allows.

    Beside each source's score stand its share of the user's best (`<name>.share`) and the log of its rank among his
    candidates (`<name>.rank`), which say the same at any size of data.

    Returns
    -------
    candidates : [n]
    matrix : float32 `[n, features]`
    names : of the features
    """
    kept = np.ones(block.candidates.row.size, dtype=bool) if repeats else ~block.candidates.own
    candidates = block.candidates.taken(kept)
    names: list[str] = []
    columns: list[NDArray[np.float32]] = []

    def add(name: str, column: Callable[[], NDArray[np.float32]]) -> None:
        if block.reads is None or name in block.reads:
            names.append(name)
            columns.append(column())

    for name, column in block.raw.items():
        part = column[kept]
        add(name, partial(np.asarray, part))
        if name in block.sources:
            add(f"{name}.share", partial(_share, candidates.row, part))
            add(f"{name}.rank", partial(_rank, candidates.row, part))
    return candidates, np.stack(columns, axis=1), tuple(names)


def group_of(feature: str) -> str:
    """Return the group of a feature: the part of the score that it is counted with."""
    name = feature.split(".")[0]
    if name in GROUP_OF:
        return GROUP_OF[name]
    if name in OWN_RHYTHM:
        return "rhythm"
    prefix = name.split("_")[0]
    if prefix == "item":
        return "trend" if name.startswith("item_rise") else "popularity"
    return {"own": "own_history", "user": "user", "category": "category"}[prefix]


def _score_of(name: str, said: Said, found: Candidates, pool: Pool) -> NDArray[np.float32]:
    """Return what a source says of each candidate; of common sources as a share of the largest."""
    if name in COMMON:
        share: NDArray[np.float32] = said.scores[found.item] / max(float(said.scores.max(initial=0.0)), 1e-9)
        return share
    return pool.read(said.scores, found.row.size) if said.at is None else said.at(found.row, found.item)


def _columns(tables: Tables, past: Past, owner: Indices, item: Indices) -> dict[str, NDArray[np.float64]]:
    """Return what is counted of users, items and pairs for each candidate."""
    columns = {name: column[owner] for name, column in tables.user.items()}
    columns |= {name: column[item] for name, column in tables.item.items()}
    columns |= _of_pairs(tables, owner * past.items + item)
    columns["own_due"] = columns["own_last"] / np.maximum(columns["own_interval"], 0.5)
    columns["own_due_item"] = columns["own_last"] / np.maximum(columns["item_interval"], 0.5)
    if tables.taste.shape[1] > 1:
        columns["category_share"] = _affinity(tables, past, owner, item)
    return columns


def _of_pairs(tables: Tables, key: Indices) -> dict[str, NDArray[np.float64]]:
    place = np.minimum(np.searchsorted(tables.key, key), max(tables.key.size - 1, 0))
    known = tables.key[place] == key if tables.key.size else np.zeros(key.size, dtype=bool)
    missing = {"own_baskets": 0.0, "own_share": 0.0}
    return {
        name: np.where(known, column[place], missing.get(name, np.nan)) if column.size else np.full(key.size, np.nan)
        for name, column in tables.pair.items()
    }


def _affinity(tables: Tables, past: Past, owner: Indices, item: Indices) -> NDArray[np.float64]:
    parts = []
    for first in range(0, owner.size, ROWS):
        rows = slice(first, first + ROWS)
        parts.append(np.asarray(tables.taste[owner[rows]].multiply(past.categories[item[rows]]).sum(axis=1)))
    return np.concatenate([part.ravel() for part in parts]) if parts else np.empty(0)


def _share(row: Indices, values: NDArray[np.float32]) -> NDArray[np.float32]:
    best = np.zeros(int(row.max(initial=-1)) + 1, dtype=np.float32)
    np.maximum.at(best, row, values)
    return np.divide(values, best[row], out=np.zeros_like(values), where=best[row] > 0)


def _rank(row: Indices, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log of 1 and how many candidates of the same user have a larger value."""
    top = max(float(np.abs(values).max(initial=0.0)), 1e-9)
    # One key for user and value, falling with the value: rows are few, so that doubles keep the values apart.
    key = row - values.astype(np.float64) * (0.49 / top)
    order = np.argsort(key)
    first = np.ones(key.size, dtype=bool)
    first[1:] = np.diff(key[order]) != 0
    place = np.empty(key.size, dtype=np.int64)
    place[order] = np.maximum.accumulate(np.where(first, np.arange(key.size), 0))
    starts = np.searchsorted(row, np.arange(row.max(initial=-1) + 1))
    rank: NDArray[np.float32] = np.log1p(place - starts[row]).astype(np.float32)
    return rank

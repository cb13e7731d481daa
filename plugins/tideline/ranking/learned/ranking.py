"""Rank: the k best items of every user, with what their scores are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embeddings.lookahead import map_ahead
from tideline.ranking.learned.features import Prepared, Ready, assemble, describe, prepare
from tideline.ranking.learned.model import Model
from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.training import Trained
from tideline.ranking.pairs import contains, pair_keys

SHOWN = ("text_long", "text_short")
"""Features that the published rows show, whether the model reads them or not."""
Parts = dict[str, NDArray[np.float64]]
"""By group of features, `base` among them, `[n]` each; they sum to the score, to rounding."""


@dataclass(frozen=True)
class Scored:
    """Candidates of some users, `[n]` each, by user in the order asked for, then the best first, equal ones by item."""

    row: Indices
    """Place of the user in `users`."""
    item: Indices
    score: NDArray[np.float64]
    sources: Indices
    """Bit i is set where `sources.NAMES[i]` proposed the pair."""
    features: NDArray[np.float32]
    """`[n, f]`, of those that the model reads or the rows show."""
    names: tuple[str, ...]
    """`[f]` names of the features."""
    stranger: NDArray[np.bool_]
    """Whether nothing is known of the user: the score is what is popular."""

    @property
    def rank(self) -> Indices:
        """1-based place of each row in its user's list."""
        return np.arange(self.row.size) - np.searchsorted(self.row, self.row) + 1

    def take(self, place: NDArray) -> Scored:
        """Return the rows of a mask or of places."""
        return Scored(
            self.row[place],
            self.item[place],
            self.score[place],
            self.sources[place],
            self.features[place],
            self.names,
            self.stranger[place],
        )

    def column(self, name: str) -> NDArray[np.float32]:
        """Return a feature by name; NaN where no candidate has it."""
        if name not in self.names:
            return np.full(self.row.size, np.nan, dtype=np.float32)
        return self.features[:, self.names.index(name)]


@dataclass(frozen=True)
class Ranked:
    """Recommended pairs of some users with what their scores are made of."""

    pairs: Scored
    parts: Parts


def rank(
    trained: Trained,
    past: Past | Prepared,
    users: Indices,
    k: int,
    *,
    repeats: bool,
    allowed: NDArray[np.bool_] | None = None,
) -> Iterator[Ranked]:
    """Rank for users in blocks; memory is bounded by a block.

    Parameters
    ----------
    past
        What is known; prepared once if several calls need it.
    users
        Numbers of users; -1, or somebody without events, gets what is popular.
    repeats
        Whether what a user has had may be recommended (where the training found that users come back at all).
    allowed
        `[items]`: what may be recommended. None: everything that can be had.

    Yields
    ------
    Ranked
        Of a block; `row` counts from the beginning of `users`.
    """
    prepared = past if isinstance(past, Prepared) else prepare(past)
    for scored in score(trained, prepared, users, k, repeats=repeats, allowed=allowed):
        yield Ranked(scored, divide(trained, scored, repeats=repeats))


def score(
    trained: Trained,
    prepared: Prepared,
    users: Indices,
    k: int,
    *,
    repeats: bool,
    allowed: NDArray[np.bool_] | None = None,
) -> Iterator[Scored]:
    """Score candidates of users in blocks and keep each user's `k` best; see `rank`."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    users = np.where(users < 0, prepared.past.users, users)
    repeats = repeats and trained.repeats
    ready = _ahead(trained, prepared, users, k, allowed, repeats, *SHOWN)

    def work(first: int) -> Scored:
        some = users[first : first + prepared.block]
        return _score_block(trained, ready, some, first, k, repeats)

    yield from map_ahead(work, range(0, users.size, prepared.block), trained.plan.threads)


def _score_block(trained: Trained, ready: Ready, users: Indices, first: int, k: int, repeats: bool) -> Scored:
    block = describe(ready, users, repeats=repeats)
    candidates, matrix, names = assemble(block, repeats=repeats)
    stranger = np.isnan(ready.prepared.past.last_age[users])[candidates.row]
    popular = matrix[:, names.index(trained.popular)].astype(np.float64)
    found = np.where(stranger, popular, 0.0)
    found[~stranger] = _model(trained, repeats).score(matrix[~stranger], names)
    order = np.lexsort((candidates.item, -found, candidates.row))
    place = np.arange(order.size) - np.searchsorted(candidates.row, candidates.row)
    order = order[place < k]
    return Scored(
        row=first + candidates.row[order],
        item=candidates.item[order],
        score=found[order],
        sources=candidates.sources[order],
        features=matrix[order],
        names=names,
        stranger=stranger[order],
    )


def score_pairs(
    trained: Trained,
    prepared: Prepared,
    user: Indices,
    item: Indices,
    k: int,
    *,
    repeats: bool,
    allowed: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Score single pairs as `score` does when it is asked for the `k` best, whether a source proposes them or not.

    Parameters
    ----------
    user, item
        `[n]` pairs, each once, by user and item.

    Returns
    -------
    `[n]`; NaN for a user of whom nothing is known, whose score would be popularity on a scale of its own, and for what
    he has had without `repeats`.
    """
    asked, place = np.unique(user, return_inverse=True)
    repeats, items = repeats and trained.repeats, prepared.past.items
    ready = _ahead(trained, prepared, asked, k, allowed, repeats)

    def work(first: int) -> NDArray[np.float64]:
        users = asked[first : first + prepared.block]
        rows = slice(*np.searchsorted(place, (first, first + users.size)).tolist())
        wanted = pair_keys(place[rows] - first, item[rows], items)
        block = describe(ready, users, repeats=repeats, wanted=wanted)
        candidates, matrix, names = assemble(block, repeats=repeats)
        key = pair_keys(candidates.row, candidates.item, items)
        stranger = np.isnan(prepared.past.last_age[users])[candidates.row]
        kept = contains(wanted, key) & ~stranger
        found = np.full(wanted.size, np.nan)
        found[np.searchsorted(wanted, key[kept])] = _model(trained, repeats).score(matrix[kept], names)
        return found

    blocks = map_ahead(work, range(0, asked.size, prepared.block), trained.plan.threads)
    return np.concatenate([np.empty(0), *blocks])


def divide(trained: Trained, scored: Scored, *, repeats: bool) -> Parts:
    """Divide scores by groups of features, exactly: added in order the parts are `scored.score` to rounding."""
    own = ~scored.stranger
    rows = scored.row.size
    parts = {"base": np.zeros(rows), "popularity": np.where(own, 0.0, scored.score)}
    model = _model(trained, repeats and trained.repeats)
    for group, values in model.parts(scored.features[own], scored.names).items():
        column = parts.setdefault(group, np.zeros(rows))
        column[own] = values
    return parts


def _ahead(
    trained: Trained,
    prepared: Prepared,
    users: Indices,
    k: int,
    allowed: NDArray[np.bool_] | None,
    repeats: bool,
    *shown: str,
) -> Ready:
    most = trained.plan.most
    reads = {*_model(trained, repeats).reads, trained.popular, *shown}
    return prepared.ahead(users, allowed, max(trained.plan.depth, k), None if most is None else max(most, k), reads)


def _model(trained: Trained, repeats: bool) -> Model:
    return trained.models["repeats" if repeats else "new"]

"""Candidate sources, one idea a file: what each is fitted on and what it says of every item for a block of users.

Adding one: a file with a `fit_...` function and an entry in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.sources.category import fit_category
from tideline.ranking.learned.sources.ease import fit_ease
from tideline.ranking.learned.sources.following import fit_following
from tideline.ranking.learned.sources.history import fit_own
from tideline.ranking.learned.sources.item_knn import fit_item_knn
from tideline.ranking.learned.sources.popularity import fit_popularity
from tideline.ranking.learned.sources.text import fit_text
from tideline.ranking.learned.sources.tifu import fit_tifu

Scores = NDArray[np.float32]
Scorer = Callable[[Indices], list[Scores]]
"""Users `[b]` -> one `[b, items]` (`[1, items]`: the same for everybody) for each name; 0 or less: nothing to say."""


@dataclass(frozen=True)
class Source:
    """One fit that gives one or several scores."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    """Group of features that each score belongs to: what `score_parts` shows."""
    fit: Callable[[Past], Scorer | None]
    """None: it has nothing to learn from in these data."""
    common: bool = False
    """Whether it says the same to everybody."""


SOURCES = (
    Source(("popular", "popular_7d", "popular_28d", "popular_decayed", "trending"),
           ("popularity", "popularity", "popularity", "popularity", "trend"), fit_popularity, common=True),
    Source(("own",), ("own_history",), fit_own),
    Source(("tifu", "neighbours", "neighbours_recent"), ("co_occurrence",) * 3, fit_tifu),
    Source(("ease", "ease_decayed"), ("co_occurrence",) * 2, fit_ease),
    Source(("item_knn",), ("co_occurrence",), fit_item_knn),
    Source(("following", "basket"), ("co_occurrence",) * 2, fit_following),
    Source(("text_long", "text_short", "text_fused", "text_new", "text_near"),
           ("long", "short", "fused", "fused", "text_near"), fit_text),
    Source(("category",), ("category",), fit_category),
)  # fmt: skip

NAMES = tuple(name for source in SOURCES for name in source.names)
GROUP_OF = {name: group for source in SOURCES for name, group in zip(source.names, source.groups, strict=True)}
COMMON = tuple(name for source in SOURCES if source.common for name in source.names)


@dataclass(frozen=True)
class Fitted:
    """All sources that could be fitted on a past."""

    scorers: tuple[tuple[Source, Scorer], ...]

    def score(self, users: Indices) -> dict[str, Scores]:
        """Return the scores `[b, items]` (`[1, items]` of common sources) of a block of users by name."""
        return {
            name: scores
            for source, scorer in self.scorers
            for name, scores in zip(source.names, scorer(users), strict=True)
        }


def fit_sources(past: Past) -> Fitted:
    """Fit every source on a past."""
    fitted = ((source, source.fit(past)) for source in SOURCES)
    return Fitted(tuple((source, scorer) for source, scorer in fitted if scorer is not None))

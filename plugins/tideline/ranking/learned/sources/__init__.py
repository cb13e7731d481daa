"""Candidate sources, one idea a file: what each learns from everybody, and what it then says of single users.

Adding one: a file with `learn` and `ask` functions and an entry in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.lookahead import map_ahead
from tideline.ranking.learned.past import Indices, Past
from tideline.ranking.learned.said import Said
from tideline.ranking.learned.sources import (
    category,
    ease,
    following,
    history,
    item_knn,
    popularity,
    text,
    tifu,
)
from tideline.ranking.learned.sparse import narrowed

THREADS = 2
"""Sources that learn at the same time."""
Scorer = Callable[[Indices], list[Said]]
"""Users `[b]` -> what is said of them for each name."""
Lesson = dict[str, Any]
"""What a source learned: numpy arrays and scipy CSR matrices by name, so that it can be written to files."""


@dataclass(frozen=True)
class Source:
    """One lesson that gives one or several scores."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    """Group of features that each score belongs to: what `score_parts` shows."""
    learn: Callable[[Past], Lesson | None]
    """Read everybody's past. None: there is nothing to learn from in these data."""
    ask: Callable[[Lesson, Past], Scorer]
    """Prepare answers for the users of a past, which may be a few of all, later than the lesson."""
    common: bool = False
    """Whether it says the same to everybody."""


SOURCES = (
    Source(("popular", "popular_7d", "popular_28d", "popular_decayed", "trending"),
           ("popularity", "popularity", "popularity", "popularity", "trend"), popularity.learn, popularity.ask,
           common=True),
    Source(("own",), ("own_history",), history.learn, history.ask),
    Source(("tifu", "neighbours", "neighbours_recent"), ("co_occurrence",) * 3, tifu.learn, tifu.ask),
    Source(("ease", "ease_decayed"), ("co_occurrence",) * 2, ease.learn, ease.ask),
    Source(("item_knn",), ("co_occurrence",), item_knn.learn, item_knn.ask),
    Source(("following", "basket"), ("co_occurrence",) * 2, following.learn, following.ask),
    Source(("text_long", "text_short", "text_fused", "text_new", "text_near"),
           ("long", "short", "fused", "fused", "text_near"), text.learn, text.ask),
    Source(("category",), ("category",), category.learn, category.ask),
)  # fmt: skip

NAMES = tuple(name for source in SOURCES for name in source.names)
GROUP_OF = {name: group for source in SOURCES for name, group in zip(source.names, source.groups, strict=True)}
COMMON = tuple(name for source in SOURCES if source.common for name in source.names)


def learn_sources(past: Past) -> dict[str, Lesson]:
    """Let every source learn from everybody's past; by the first name of each source that could."""
    # The longest first: it takes as long as all others.
    order = sorted(SOURCES, key=lambda source: source.learn is not ease.learn)
    lessons = zip(order, map_ahead(lambda source: source.learn(past), order, THREADS), strict=True)
    learned = {
        source.names[0]: {
            name: value if isinstance(value, np.ndarray) else narrowed(value) for name, value in lesson.items()
        }
        for source, lesson in lessons
        if lesson is not None
    }
    return {source.names[0]: learned[source.names[0]] for source in SOURCES if source.names[0] in learned}


@dataclass(frozen=True)
class Asked:
    """Sources, ready to answer for the users of a past."""

    scorers: tuple[tuple[Source, Scorer], ...]

    def ahead(self, users: Indices, allowed: NDArray[np.bool_], depth: int) -> Asked:
        """Find what is cheaper to find for many users at once: see `text.Texts.ahead`. Blocks of them may follow."""
        scorers = (
            (source, scorer.ahead(users, allowed, depth) if isinstance(scorer, text.Texts) else scorer)
            for source, scorer in self.scorers
        )
        return Asked(tuple(scorers))

    @property
    def common(self) -> dict[str, NDArray[np.float32]]:
        """`[items]` of the sources that say the same to everybody."""
        nobody = np.empty(0, dtype=np.int64)
        return {
            name: said.scores
            for source, scorer in self.scorers
            if source.common
            for name, said in zip(source.names, scorer(nobody), strict=True)
        }

    def score(self, users: Indices) -> dict[str, Said]:
        """Return what is said of a block of users, by name."""
        return {
            name: said
            for source, scorer in self.scorers
            for name, said in zip(source.names, scorer(users), strict=True)
        }


def ask_sources(lessons: Mapping[str, Lesson], own: Past) -> Asked:
    """Prepare every source that has learned something for the users of a past."""
    known = [(source, lessons[source.names[0]]) for source in SOURCES if source.names[0] in lessons]
    return Asked(tuple((source, source.ask(lesson, own)) for source, lesson in known))

"""Candidate sources, one a file: a new file here that decorates its function with `source` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tideline.ranking.pairs import Indices, pair_keys

if TYPE_CHECKING:
    from tideline.ranking.block import Block
    from tideline.ranking.catalogue import Catalogue
    from tideline.ranking.plan import RankingPlan

Propose = Callable[["Block", "Catalogue", "RankingPlan"], tuple[Indices, Indices]]
"""A source: (block, catalogue, plan) -> user indices [n] and item indices [n] of the pairs it proposes, each once."""

_SOURCES: dict[str, Propose] = {}


@dataclass(frozen=True)
class Candidates:
    """Pairs of a block, each once, ordered by (user, item)."""

    user: Indices
    item: Indices
    sources: Indices
    """Bit i is set where `source_names()[i]` proposed the pair."""


def source(name: str) -> Callable[[Propose], Propose]:
    """Register a candidate source under the name that `candidate_sources` shows."""

    def register(propose: Propose) -> Propose:
        if name in _SOURCES:
            raise ValueError(f"two candidate sources are called {name!r}: rename one")
        _SOURCES[name] = propose
        return propose

    return register


def source_names() -> tuple[str, ...]:
    """Return the names of all registered sources, sorted."""
    return tuple(sorted(_SOURCES))


def propose_all(block: Block, catalogue: Catalogue, plan: RankingPlan) -> Candidates:
    """Ask every source and unite what they propose."""
    keys, bits = [], []
    for bit, name in enumerate(source_names()):
        user, item = _SOURCES[name](block, catalogue, plan)
        keys.append(pair_keys(user, item, catalogue.size))
        bits.append(np.full(user.size, 1 << bit, dtype=np.int64))
    united, place = np.unique(np.concatenate(keys), return_inverse=True)
    sources = np.zeros(united.size, dtype=np.int64)
    np.bitwise_or.at(sources, place, np.concatenate(bits))
    items = max(catalogue.size, 1)
    return Candidates(user=united // items, item=united % items, sources=sources)


for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")

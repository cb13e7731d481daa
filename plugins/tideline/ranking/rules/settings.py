"""The rules of a run, as `run_settings` gives them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

COLUMNS = ("category_cap", "boosts", "diversity", "exploration_share", "exploration_days")
"""Columns of `run_settings` that `load_rules` reads."""

ITEM = "item:"
"""A boost for one item is written `item:<id>`; any other key is a category."""


class RulesError(ValueError):
    """A rule is set to what it cannot be; the message names the setting."""


@dataclass(frozen=True)
class Rules:
    """What changes a list after scoring. The defaults change nothing."""

    category_cap: int | None = None
    """Most items of one category in a list; None: any number."""
    boosts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Category, or `item:<id>`, to the factor by which the odds of such an item are multiplied."""
    diversity: float = 0.0
    """Weight of unlikeness to the rows above against the score, 0 to 1."""
    exploration_share: float = 0.0
    """Share of a list's places that go to new items, 0 to 1."""
    exploration_days: float = 28.0
    """An item is new for so many days."""

    def __post_init__(self) -> None:
        """Refuse what no rule can mean.

        Raises
        ------
        RulesError
            The message names the setting.
        """
        if self.category_cap is not None and self.category_cap < 1:
            raise RulesError(f"category_cap must be null or at least 1, got {self.category_cap}")
        for name, value in (("diversity", self.diversity), ("exploration_share", self.exploration_share)):
            if not 0 <= value <= 1:
                raise RulesError(f"{name} must be from 0 to 1, got {value}")
        if not 0 <= self.exploration_days < math.inf:
            raise RulesError(f"exploration_days must be at least 0, got {self.exploration_days}")
        if wrong := {name: factor for name, factor in self.boosts.items() if not 0 < factor < math.inf}:
            raise RulesError(f"factors in boosts must be numbers above 0, got {wrong}")

    @property
    def reorder(self) -> bool:
        """Whether a row below the first k may come into the list."""
        return bool(self.category_cap is not None or self.boosts or self.diversity)

    def places(self, k: int) -> int:
        """Return how many of k places go to new items: floor(exploration_share * k)."""
        return math.floor(self.exploration_share * k + 1e-9)  # .29 * 100 is a little less than 29


def load_rules(row: Mapping[str, Any]) -> Rules:
    """Read the rules of a run from its row of `run_settings`.

    Parameters
    ----------
    row
        At least the columns `COLUMNS`; `boosts` as DuckDB gives a map (a dict) or as Arrow does (pairs).

    Raises
    ------
    RulesError
        If a column is missing or a setting cannot be; the message names it.
    """
    if missing := [name for name in COLUMNS if name not in row]:
        raise RulesError(f"run_settings lacks {', '.join(missing)}: rebuild the behaviour tables")
    cap = row["category_cap"]
    return Rules(
        category_cap=None if cap is None else int(cap),
        boosts=MappingProxyType({str(name): float(factor) for name, factor in sorted(dict(row["boosts"]).items())}),
        diversity=float(row["diversity"]),
        exploration_share=float(row["exploration_share"]),
        exploration_days=float(row["exploration_days"]),
    )

"""A model that scores candidates: a linear blend of sources, trees, or the sum of both; its parts sum to its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.blend import blend_parts
from tideline.ranking.learned.features import group_of
from tideline.ranking.learned.paths import Paths, read_paths

TIE = 1e-3
Matrix = NDArray[np.float32]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """`score = linear_scale * blend + trees_scale * trees`; a scale is 0 where the part is absent."""

    name: str
    """The contender that won: a source, `blend`, `trees`, or `trees + 0.5 tifu`."""
    features: tuple[str, ...] = ()
    """Columns of the matrices that trees read, in their order; empty without trees: a blend finds its terms by name."""
    linear: Mapping[str, float] = field(default_factory=dict)
    """Weight of each term of the blend."""
    linear_scale: float = 0.0
    booster: str = field(default="", repr=False)
    """LightGBM's text format; empty: no trees."""
    trees_scale: float = 0.0
    threads: int = 1
    """Of one prediction; blocks of users are scored side by side."""

    @property
    def reads(self) -> frozenset[str]:
        """The features that scores and their parts are made of."""
        return frozenset((*self.linear, *self.features))

    @cached_property
    def trees(self) -> Any:
        """The booster; None without."""
        if not self.booster:
            return None
        import lightgbm

        return lightgbm.Booster(model_str=self.booster)

    @cached_property
    def paths(self) -> Paths:
        """What each leaf of the trees adds by group of features."""
        return read_paths(self.trees, [group_of(name) for name in self.features])

    def score(self, matrix: Matrix, names: tuple[str, ...]) -> Scores:
        """Score `[n, features]` candidates; `names` are those of the columns, a missing one says nothing."""
        total = np.zeros(len(matrix))
        if self.linear_scale and len(matrix):
            total += self.linear_scale * blend_parts(matrix, names, self.linear)[0].sum(axis=1)
        if self.trees_scale and len(matrix):
            aligned = self._aligned(matrix, names)
            total += self.trees_scale * self.trees.predict(aligned, raw_score=True, num_threads=self.threads)
        return total

    def parts(self, matrix: Matrix, names: tuple[str, ...]) -> dict[str, Scores]:
        """Divide the score of each row by groups of features, `base` among them; they sum to `score` (to rounding).

        The terms of the blend are its own parts; those of the trees are the changes on the way to each leaf (`paths`).
        """
        parts = {"base": np.zeros(len(matrix))}

        def add(group: str, values: Scores) -> None:
            parts[group] = parts[group] + values if group in parts else values

        if self.linear_scale and len(matrix):
            values, terms = blend_parts(matrix, names, self.linear)
            for column, name in enumerate(terms):
                add(group_of(name), self.linear_scale * values[:, column])
        if self.trees_scale and len(matrix):
            aligned = self._aligned(matrix, names)
            leaves = self.trees.predict(aligned, pred_leaf=True, num_threads=self.threads).reshape(len(matrix), -1)
            for group, changes in self.paths.divide(leaves).items():
                add(group, self.trees_scale * changes)
            add("base", np.full(len(matrix), self.trees_scale * self.paths.base))
        return parts

    def _aligned(self, matrix: Matrix, names: tuple[str, ...]) -> Matrix:
        """Return the columns that the trees were trained on; NaN for one that today's data do not have."""
        if names == self.features:
            return matrix
        columns = np.full((len(matrix), len(self.features)), np.nan, dtype=np.float32)
        for place, name in enumerate(self.features):
            if name in names:
                columns[:, place] = matrix[:, names.index(name)]
        return columns


def single(source: str) -> Model:
    """Make the model that ranks by one source; its ties go to what is popular."""
    return Model(source, linear={f"{source}.share": 1.0} | popular_tie(source), linear_scale=1.0)


def popular_tie(source: str) -> dict[str, float]:
    """Return the term that breaks ties by popularity."""
    return {} if source == "popular_decayed" else {"popular_decayed.share": TIE}

"""What each group of features adds to a score of trees: exact, at the price of one more prediction.

On the way from a tree's root to a leaf the expected score changes at every split; the change is counted for the feature
that the split asks (Saabas 2014, "Interpreting random forests"). All changes together lead from the mean of the
training to the leaf's value, so the parts sum to the score. They depend on the leaf alone: a table of leaves is made
once, and a row costs one look-up a tree. Shapley values (LightGBM's `pred_contrib`) sum to the score as well, and take
about as long as all the rest of ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Paths:
    """The changes on the way to each leaf, summed by group."""

    groups: tuple[str, ...]
    base: float
    """Sum of the trees' means over the rows that they were trained on."""
    changes: Floats
    """`[trees, leaves, groups]`, 0 for leaves that a tree does not have."""

    def divide(self, leaves: NDArray[np.integer]) -> dict[str, Floats]:
        """Divide scores by groups, from the leaf of each tree, `[n, trees]`; without `base`, which is alike for all."""
        parts = np.zeros((len(leaves), len(self.groups)))
        for tree, changes in enumerate(self.changes):
            parts += changes[leaves[:, tree]]
        return {group: parts[:, column] for column, group in enumerate(self.groups)}


def read_paths(booster: Any, group_of: Sequence[str]) -> Paths:
    """Read the trees of a LightGBM booster.

    Parameters
    ----------
    group_of
        `[features]` group of each feature.
    """
    groups = tuple(dict.fromkeys(group_of))
    column = np.array([groups.index(group) for group in group_of], dtype=np.int64)
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    changes = np.zeros((len(trees), max((_size(tree) for tree in trees), default=1), len(groups)))
    base = 0.0
    for number, tree in enumerate(trees):
        base += _mean(tree)[0]
        _walk(tree, np.zeros(len(groups)), column, changes[number])
    return Paths(groups, base, changes)


def _walk(node: dict[str, Any], so_far: Floats, column: NDArray[np.int64], changes: Floats) -> None:
    if "leaf_value" in node:
        changes[node.get("leaf_index", 0)] = so_far
        return
    mean = _mean(node)[0]
    for child in (node["left_child"], node["right_child"]):
        after = so_far.copy()
        after[column[node["split_feature"]]] += _mean(child)[0] - mean
        _walk(child, after, column, changes)


def _mean(node: dict[str, Any]) -> tuple[float, int]:
    """Return the mean of the leaves below, and how many rows of the training it is of; kept in the node."""
    if "leaf_value" in node:
        return float(node["leaf_value"]), int(node.get("leaf_count", 1))
    if "mean" not in node:
        (left, few), (right, many) = _mean(node["left_child"]), _mean(node["right_child"])
        node["mean"] = ((left * few + right * many) / max(few + many, 1), few + many)
    mean: tuple[float, int] = node["mean"]
    return mean


def _size(node: dict[str, Any]) -> int:
    return 1 if "leaf_value" in node else _size(node["left_child"]) + _size(node["right_child"])

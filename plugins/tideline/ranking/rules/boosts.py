"""Boosts: the odds of an item, multiplied."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tideline.ranking.rules.facts import ItemFacts
from tideline.ranking.rules.settings import ITEM, Rules


def boost(rules: Rules, items: ItemFacts) -> tuple[NDArray[np.float64], dict[int, list[str]]]:
    """Return what boosts add to the score of each item, [items], and how to say it for each item that has one.

    A ranking's scores are log-odds up to a constant (softmax over a list), so a factor's logarithm is added: an item
    with factor 2 is twice as likely as before against any other. Several factors multiply.
    """
    added = np.zeros(items.allowed.size)
    told: dict[int, list[str]] = {}
    codes = {name: code for code, name in enumerate(items.categories.names)}
    columns = items.categories.matrix.tocsc()
    for name, factor in rules.boosts.items():
        if name.startswith(ITEM):
            index = pc.index(items.item_id, pa.scalar(name.removeprefix(ITEM), items.item_id.type)).as_py()
            boosted = np.array([index] if index >= 0 else [], dtype=np.int64)
            effect = f"x{factor:g} for this item"
        else:
            code = codes.get(name)
            boosted = np.empty(0, np.int64)
            if code is not None:
                boosted = columns.indices[columns.indptr[code] : columns.indptr[code + 1]].astype(np.int64)
            effect = f"x{factor:g} for category {name}"
        added[boosted] += np.log(factor)
        for item in boosted.tolist():
            told.setdefault(item, []).append(effect)
    return added, told

"""Who is served is not who was learned from: lists count by how many users of their kind are known now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tideline.ranking.learned.lists import Lists
from tideline.ranking.learned.past import Past

TENURE = (1.0, 7.0, 30.0)
"""Kinds of users: days since their first event. New ones act otherwise, and a wave of them changes what is best."""
MOST = 10.0


@dataclass(frozen=True)
class Shift:
    """How many users of each kind were known when; kinds are those of `TENURE`."""

    first: NDArray[np.float64]
    """Days since the first event of each known user."""

    def known(self, days: float) -> NDArray[np.float64]:
        """Return `[kinds]` how many users of each kind were known so many days ago."""
        tenure = np.floor(self.first[self.first > days] - days) + 0.5
        return np.bincount(np.digitize(tenure, TENURE), minlength=len(TENURE) + 1).astype(np.float64)

    def weigh(self, lists: Lists) -> NDArray[np.float64]:
        """Return `[m]` how much each list counts, 1 on average: covariate shift (Shimodaira 2000), by kind of user.

        A kind that is more common now than at the cutoffs of the lists counts more. Whether a user of a kind comes back
        is taken to be as it was.
        """
        if lists.size == 0:
            return np.ones(0)
        kind = np.zeros(lists.size, dtype=np.int64)
        kind[lists.list] = np.digitize(np.nan_to_num(lists.column("user_first")), TENURE)
        before = sum((self.known(float(days)) for days in np.unique(lists.cutoff)), np.zeros(len(TENURE) + 1))
        ratio = self.known(0.0) / np.maximum(before, 1)
        weight = ratio[kind]
        weight = np.clip(weight / max(float(weight.mean()), 1e-9), 1 / MOST, MOST)
        weighed: NDArray[np.float64] = weight / weight.mean()
        return weighed


def measure_shift(past: Past) -> Shift:
    """Read when each user was first seen."""
    first = np.zeros(past.users)
    np.maximum.at(first, past.user, past.age)
    return Shift(first[first > 0])

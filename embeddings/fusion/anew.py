"""What a run would have known at an instant: item vectors and interests learned anew from the events before it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.collaborative import RECIPE, Recipe, learn_item_vectors
from embeddings.fusion.fixed import fuse
from embeddings.fusion.learned import Gate
from embeddings.fusion.past import Behaviour, Spans, interests_at

Vectors = NDArray[np.float32]


class Learned(NamedTuple):
    """Vectors of one instant, all in one frame of its own: unit rows, or zeros where there is none."""

    items: Vectors
    """`[items, dimension + d]`"""
    long: Vectors
    """`[users, dimension + d]`, as are the next two."""
    short: Vectors
    fused: Vectors


def learn_interests(
    user: NDArray[np.integer],
    item: NDArray[np.integer],
    age: NDArray[np.float64],
    weight: NDArray[np.float64],
    text: Vectors,
    spans: Spans,
    gate: Gate | float,
    users: int,
    recipe: Recipe = RECIPE,
) -> Learned:
    """Return the vectors of items and users that a night at the instant would have, of events with items alone.

    The same windows, decay and sums as `windows.interest_vectors` on the run's tables; the frame is another, and no
    cosine depends on it.

    Parameters
    ----------
    user, item
        Every event known at the instant, `[n]`: numbers of users and of rows of `text`.
    age
        Days before the instant, above 0.
    weight
        Before any decay, not negative.
    text
        Unit vectors of the items' texts alone, zero rows for items without, `[items, d]`.
    spans
        Of the run's settings, in days.
    gate
        A learned gate, or the weight of the long vector for everybody.
    users
        Rows of users; those without an event have zeros.
    """
    items = learn_item_vectors(user, item, text, recipe).items
    none = np.full(len(user), -1, dtype=np.int32)
    behaviour = Behaviour(user.astype(np.int32), item.astype(np.int32), none, age, weight)
    everybody = np.arange(users, dtype=np.int32)
    found = interests_at(behaviour, 0.0, everybody, items, np.zeros((0, items.shape[1]), dtype=np.float32), spans)
    weights = gate.network.gates(found.signals) if isinstance(gate, Gate) else gate
    fused, _, _ = fuse(found.long, found.short, found.has_long, found.has_short, weights)
    return Learned(items, found.long, found.short, fused)

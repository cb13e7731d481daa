"""Item vectors that learn from behaviour beside text: who had one item had the other.

Behaviour: the singular vectors of the users-times-items matrix, both sides scaled by the root of their counts (the spectral
form of normalised co-occurrence: Hu, Koren and Volinsky, ICDM 2008, for the binary signal; Levy and Goldberg, NIPS 2014,
for factors of co-occurrence as item vectors). Text carries what behaviour does not reach: a ridge regression maps text
vectors to the behaviour space, and an item with few events leans on what its text foretells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

DIMENSION = 128
SINGULAR_POWER = 0.5
"""How much more the strong directions count: singular vectors times the values to this power."""
PRIOR_USERS = 5.0
"""An item with so many users takes half of its vector from behaviour, half from what its text foretells."""
RIDGE = 1.0
TEXT_SHARE = 0.2
"""Part of the cosine of two items with both that is the cosine of their texts."""
_OVERSAMPLES, _PASSES, _SEED = 16, 4, 5


class Recipe(NamedTuple):
    """How behaviour and text are joined."""

    dimension: int = DIMENSION
    singular_power: float = SINGULAR_POWER
    prior_users: float = PRIOR_USERS
    ridge: float = RIDGE
    text_share: float = TEXT_SHARE


def learn_item_vectors(
    user: NDArray[np.integer], item: NDArray[np.integer], text: Vectors, recipe: Recipe = Recipe()
) -> Vectors:
    """Return unit vectors of items, `[items, dimension + d]`, float32: the behaviour part, then the text part.

    The cosine of two items is `1 - text_share` of that of their behaviour parts plus `text_share` of that of their
    texts. An item without text has behaviour alone, a new item what its text foretells, an item with neither zeros.

    Parameters
    ----------
    user, item
        Events before the cutoff, `[n]`: numbers of users and of rows of `text`. A pair counts once.
    text
        Unit vectors of texts, `[items, d]`; zero rows for items without.
    """
    behaviour, users_of = factor_items(user, item, len(text), recipe.dimension, recipe.singular_power)
    has_text = text.any(axis=1)
    behaviour = _lean_on_text(behaviour, users_of, text, has_text, recipe)
    has_behaviour = behaviour.any(axis=1)
    share = np.where(has_text, np.where(has_behaviour, recipe.text_share, 1.0), 0.0).astype(np.float32)
    joined = np.hstack([np.sqrt(1 - share)[:, None] * behaviour, np.sqrt(share)[:, None] * text])
    return np.ascontiguousarray(joined, dtype=np.float32)


def factor_items(
    user: NDArray[np.integer], item: NDArray[np.integer], items: int, dimension: int, power: float
) -> tuple[Vectors, NDArray[np.int64]]:
    """Return unit vectors of items from who had what, `[items, dimension]`, and the users of each item, `[items]`.

    Randomised singular value decomposition (Halko, Martinsson and Tropp, SIAM Review 2011) with a fixed seed; zero rows for
    items without users, zero columns where the matrix has fewer directions.
    """
    from scipy.sparse import csr_array

    pairs = np.unique(np.asarray(user, dtype=np.int64) * max(items, 1) + item)
    rows, columns = np.divmod(pairs, max(items, 1))
    rows = np.unique(rows, return_inverse=True)[1]
    users_of = np.bincount(columns, minlength=items)
    vectors = np.zeros((items, dimension), dtype=np.float32)
    if not len(pairs):
        return vectors, users_of
    items_of = np.bincount(rows)
    scaled = 1 / np.sqrt(items_of[rows] * users_of[columns])
    matrix = csr_array((scaled, (rows, columns)), shape=(len(items_of), items))
    size = min(dimension + _OVERSAMPLES, *matrix.shape)
    found = np.random.default_rng(_SEED).standard_normal((items, size))
    for _ in range(_PASSES):
        found = np.linalg.qr(matrix.T @ (matrix @ found))[0]
    basis = np.linalg.qr(matrix @ found)[0]
    _, values, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    kept = min(dimension, int((values > 1e-6).sum()))
    # The first direction of this matrix is the counts themselves: it says how popular an item is, not what it is like.
    signs = np.sign(right[np.arange(kept), np.abs(right[:kept]).argmax(axis=1)])
    vectors[:, :kept] = (right[:kept].T * signs) * values[:kept] ** power
    return unit(vectors), users_of


def _lean_on_text(
    behaviour: Vectors, users_of: NDArray[np.int64], text: Vectors, has_text: NDArray[np.bool_], recipe: Recipe
) -> Vectors:
    """Mix each behaviour vector with the one that its text foretells, the less of that the more users it has."""
    known = (users_of > 0) & has_text
    if not known.any():
        return behaviour
    # Heavier for items whose behaviour is well known.
    weight = (users_of[known] / (users_of[known] + recipe.prior_users)).astype(np.float32)[:, None]
    told = text[known]
    gram = told.T @ (weight * told) + recipe.ridge * np.eye(text.shape[1], dtype=np.float32)
    coefficients = np.linalg.solve(gram, told.T @ (weight * behaviour[known]))
    foretold = unit((text @ coefficients).astype(np.float32))
    own = (users_of / (users_of + recipe.prior_users)).astype(np.float32)[:, None]
    own[~has_text & (users_of > 0)] = 1
    return unit(own * behaviour + (1 - own) * foretold)


def unit(vectors: Vectors) -> Vectors:
    """Return rows of length 1; zero rows stay."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Vectors = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 1e-12)
    return made

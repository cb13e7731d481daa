"""Item vectors that learn from behaviour beside text: who had one item had the other.

Behaviour: the singular vectors of the users-times-items matrix, both sides divided by the root of their counts. They
are the eigenvectors of normalised co-occurrence (Levy and Goldberg, NIPS 2014, for such factors as vectors; PureSVD,
Cremonesi et al., RecSys 2010, for recommending by them). Text carries what behaviour does not reach: a ridge
regression maps text vectors to the behaviour space (as Gantner et al., ICDM 2010, do for new items), and an item with
few users leans on what its text foretells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

DIMENSION = 256
PRIOR_USERS = 1.0
"""An item with so many users takes half of its vector from behaviour, half from what its text foretells."""
RIDGE = 1.0
TEXT_SHARE = 0.1
"""Part of the cosine of two items with both that is the cosine of their texts."""
_OVERSAMPLES, _PASSES, _SEED = 16, 4, 5


class Recipe(NamedTuple):
    """How behaviour and text are joined."""

    dimension: int = DIMENSION
    prior_users: float = PRIOR_USERS
    ridge: float = RIDGE
    text_share: float = TEXT_SHARE

    @property
    def name(self) -> str:
        """Return what joined vectors append to the id of their text model, after a plus sign."""
        return f"behaviour-{self.dimension}-{self.prior_users:g}-{self.ridge:g}-{self.text_share:g}"


RECIPE = Recipe()


class Joined(NamedTuple):
    """Item vectors of behaviour and text, and what carries a text into their space."""

    items: Vectors
    """Unit vectors, `[items, dimension + d]`: the behaviour part, then the text part."""
    coefficients: Vectors
    """From a text vector to the behaviour part, `[d, dimension]`."""
    recipe: Recipe

    def carry(self, text: Vectors) -> Vectors:
        """Return the vectors of texts that are no item's (a review, a search): `[n, d]` to `[n, dimension + d]`."""
        return _put_together(unit(text @ self.coefficients), text, self.recipe)


def learn_item_vectors(
    user: NDArray[np.integer], item: NDArray[np.integer], text: Vectors, recipe: Recipe = RECIPE
) -> Joined:
    """Learn vectors of items from who had what, joined with their texts.

    The cosine of two items is `1 - text_share` of that of their behaviour parts plus `text_share` of that of their
    texts. An item without text has behaviour alone, a new item what its text foretells, an item with neither zeros.
    The same events and texts give the same vectors, whatever the order of the events.

    Parameters
    ----------
    user, item
        Events before the cutoff, `[n]`: numbers of users and of rows of `text`. A pair counts once.
    text
        Unit vectors of texts, `[items, d]`; zero rows for items without.
    """
    behaviour, users_of = factor_items(user, item, len(text), recipe.dimension)
    has_text = np.asarray(text.any(axis=1))
    known = (users_of > 0) & has_text
    # An item counts the more the better its behaviour is known.
    trust = (users_of / (users_of + recipe.prior_users)).astype(np.float32)[:, None]
    gram = text[known].T @ (trust[known] * text[known]) + recipe.ridge * np.eye(text.shape[1], dtype=np.float32)
    coefficients = np.linalg.solve(gram, text[known].T @ (trust[known] * behaviour[known])).astype(np.float32)
    foretold = unit(text @ coefficients)
    own = np.where(has_text[:, None], trust, np.float32(1)).astype(np.float32)
    leaning = unit(own * behaviour + (1 - own) * foretold)
    return Joined(_put_together(leaning, text, recipe), coefficients, recipe)


def text_part(joined: Vectors, recipe: Recipe = RECIPE) -> Vectors:
    """Return the unit text vectors, `[n, d]`, that joined vectors were made of; zero rows where there was no text."""
    return unit(joined[:, recipe.dimension :])


def _put_together(behaviour: Vectors, text: Vectors, recipe: Recipe) -> Vectors:
    has_behaviour, has_text = behaviour.any(axis=1), text.any(axis=1)
    share = np.where(has_text, np.where(has_behaviour, recipe.text_share, 1.0), 0.0).astype(np.float32)[:, None]
    return np.hstack([np.sqrt(1 - share) * behaviour, np.sqrt(share) * text])


def factor_items(
    user: NDArray[np.integer], item: NDArray[np.integer], items: int, dimension: int
) -> tuple[Vectors, NDArray[np.int64]]:
    """Return unit vectors of items from who had what, `[items, dimension]`, and the users of each item, `[items]`.

    Randomised singular value decomposition (Halko, Martinsson and Tropp, SIAM Review 2011) with a fixed seed; zero rows
    for items without users, zero columns where the matrix has fewer directions.
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
    # Not scaled by the singular values, or the few directions that everybody shares would decide the cosine.
    signs = np.sign(right[np.arange(kept), np.abs(right[:kept]).argmax(axis=1)])
    vectors[:, :kept] = right[:kept].T * signs
    return unit(vectors), users_of


def unit(vectors: Vectors) -> Vectors:
    """Return rows of length 1; zero rows stay."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Vectors = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 1e-12)
    return made

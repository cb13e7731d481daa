"""Item vectors that learn from behaviour beside text: who had one item had the other.

Behaviour: the singular vectors of the users-times-items matrix, both sides divided by the root of their counts. They
are the eigenvectors of normalised co-occurrence (Levy and Goldberg, NIPS 2014, for such factors as vectors; PureSVD,
Cremonesi et al., RecSys 2010, for recommending by them). Text carries what behaviour does not reach: a ridge
regression maps text vectors to the behaviour space (as Gantner et al., ICDM 2010, do for new items), and an item with
few users leans on what its text foretells.

A space is learned once; the events of every night after it are folded into its frame (`co_occurrence.fold_in`), so that
vectors of different nights can be compared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.co_occurrence import fold_in, one_thread, singular_vectors, who_had_what

Vectors = NDArray[np.float32]

DIMENSION = 256
PRIOR_USERS = 1.0
"""An item with so many users takes half of its vector from behaviour, half from what its text foretells."""
RIDGE = 1.0
TEXT_SHARE = 0.1
"""Part of the cosine of two items with both that is the cosine of their texts."""


class Recipe(NamedTuple):
    """How behaviour and text are joined."""

    dimension: int = DIMENSION
    prior_users: float = PRIOR_USERS
    ridge: float = RIDGE
    text_share: float = TEXT_SHARE


RECIPE = Recipe()


class Standing(NamedTuple):
    """Where items stand in a space by behaviour alone."""

    behaviour: Vectors
    """Unit vectors, zero rows for items without behaviour, `[items, dimension]`."""
    users_of: NDArray[np.int64]
    """Users of each item, `[items]`: the more, the less it leans on its text."""


class Space(NamedTuple):
    """A frame for item vectors, learned from the events and texts of one instant."""

    vectors: Vectors
    """Right singular vectors, `[items, dimension]`: the items that were known then."""
    users_of: NDArray[np.int64]
    """Their users then, `[items]`."""
    coefficients: Vectors
    """From a text vector to behaviour, `[d, dimension]`."""
    recipe: Recipe

    def item_vectors(
        self,
        user: NDArray[np.integer],
        item: NDArray[np.integer],
        text: Vectors,
        row: NDArray[np.integer] | None = None,
    ) -> Vectors:
        """Return vectors of items from today's events and texts, `[items, dimension + d]`, in the frame of the space.

        The cosine of two items is `1 - text_share` of that of their behaviour parts plus `text_share` of that of their
        texts. An item without text has behaviour alone, a new item what its text foretells, an item with neither zeros.
        The same events and texts give the same vectors, whatever the order of the events.

        Parameters
        ----------
        user, item, row
            As for `fold`.
        text
            Unit vectors of texts, `[items, d]`; zero rows for items without.
        """
        return self.join(self.fold(user, item, len(text), row), text)

    def fold(
        self, user: NDArray[np.integer], item: NDArray[np.integer], items: int, row: NDArray[np.integer] | None = None
    ) -> Standing:
        """Return where today's events put items: one pass over the events, users in blocks.

        Items that the space knows and that have no event now stand where they stood.

        Parameters
        ----------
        user, item
            Events, `[n]`: numbers of users, and of items below `items`. A pair counts once.
        row
            The space's row of each item, `[items]`, -1 for those it does not know. None: they are numbered as there.
        """
        row = np.arange(items) if row is None else row
        before = np.zeros((items, self.recipe.dimension), dtype=np.float32)
        before[row >= 0] = self.vectors[row[row >= 0]]
        had = who_had_what(user, item, items)
        behaviour = unit(fold_in(had, before).astype(np.float32))
        rests = (had.users_of == 0) & (row >= 0)
        behaviour[rests] = unit(before[rests])
        users_of = had.users_of.copy()
        users_of[rests] = self.users_of[row[rests]]
        return Standing(behaviour, users_of)

    def join(self, standing: Standing, text: Vectors) -> Vectors:
        """Return the vectors of items, `[n, dimension + d]`, from where they stand and their unit text vectors."""
        foretold = unit(text @ self.coefficients)
        trust = standing.users_of / (standing.users_of + self.recipe.prior_users)
        own = np.where(text.any(axis=1), trust, 1).astype(np.float32)[:, None]
        return _put_together(unit(own * standing.behaviour + (1 - own) * foretold), text, self.recipe)

    def carry(self, text: Vectors) -> Vectors:
        """Return the vectors of texts that are no item's (a review, a search): `[n, d]` to `[n, dimension + d]`."""
        return _put_together(unit(text @ self.coefficients), text, self.recipe)


class Joined(NamedTuple):
    """Item vectors of behaviour and text, and the space that they are in."""

    items: Vectors
    """Unit vectors, `[items, dimension + d]`: the behaviour part, then the text part."""
    space: Space


def learn_space(user: NDArray[np.integer], item: NDArray[np.integer], text: Vectors, recipe: Recipe = RECIPE) -> Space:
    """Learn a space from who had what and from the texts of items.

    Parameters
    ----------
    user, item
        Events before the cutoff, `[n]`: numbers of users and of rows of `text`. A pair counts once.
    text
        Unit vectors of texts, `[items, d]`; zero rows for items without.
    """
    had = who_had_what(user, item, len(text))
    vectors = singular_vectors(had, recipe.dimension).astype(np.float32)
    known = (had.users_of > 0) & text.any(axis=1)
    # An item counts the more the better its behaviour is known.
    trust = (had.users_of / (had.users_of + recipe.prior_users)).astype(np.float32)[known, None]
    with one_thread():
        gram = text[known].T @ (trust * text[known]) + recipe.ridge * np.eye(text.shape[1], dtype=np.float32)
        # Not scaled by the singular values, or the few directions that everybody shares would decide the cosine.
        coefficients = np.linalg.solve(gram, text[known].T @ (trust * unit(vectors[known]))).astype(np.float32)
    return Space(vectors, had.users_of, coefficients, recipe)


def learn_item_vectors(
    user: NDArray[np.integer], item: NDArray[np.integer], text: Vectors, recipe: Recipe = RECIPE
) -> Joined:
    """Learn a space and return the items' vectors in it, from the same events; see `learn_space`."""
    space = learn_space(user, item, text, recipe)
    return Joined(space.item_vectors(user, item, text), space)


def unit(vectors: Vectors) -> Vectors:
    """Return rows of length 1; zero rows stay."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Vectors = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 1e-12)
    return made


def _put_together(behaviour: Vectors, text: Vectors, recipe: Recipe) -> Vectors:
    has_behaviour, has_text = behaviour.any(axis=1), text.any(axis=1)
    share = np.where(has_text, np.where(has_behaviour, recipe.text_share, 1.0), 0.0).astype(np.float32)[:, None]
    return np.hstack([np.sqrt(1 - share) * behaviour, np.sqrt(share) * text])

"""Item vectors of behaviour and text."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings.collaborative import Joined, Recipe, learn_item_vectors, text_part, unit

RECIPE = Recipe(dimension=3)
ITEMS, DIMENSION = 12, 5


def texts() -> np.ndarray:
    """Items 0 to 4 and 5 to 9 have one text each group, a little blurred; 10 is new with the first, 11 has none."""
    random = np.random.default_rng(0)
    first, second = np.eye(DIMENSION)[:2]
    made = np.array([first] * 5 + [second] * 5 + [first, np.zeros(DIMENSION)])
    made[:11] += 0.1 * random.standard_normal((11, DIMENSION))
    return unit(made.astype(np.float32))


def behaviour() -> tuple[np.ndarray, np.ndarray]:
    """Forty users take three of one group each; takers of the second group take item 11 as well."""
    random = np.random.default_rng(1)
    pairs = [(user, item) for user in range(40) for item in random.choice(5, 3, replace=False) + 5 * (user % 2)]
    pairs += [(user, 11) for user in range(1, 40, 4)]
    user, item = np.array(pairs).T
    return user, item


@pytest.fixture(scope="module")
def joined() -> Joined:
    return learn_item_vectors(*behaviour(), texts(), RECIPE)


def test_vectors_are_unit_vectors_of_both_parts(joined: Joined) -> None:
    assert joined.items.shape == (ITEMS, RECIPE.dimension + DIMENSION)
    assert joined.items.dtype == np.float32
    assert np.allclose(np.linalg.norm(joined.items, axis=1), 1, atol=1e-5)


def test_a_new_item_is_carried_by_its_text(joined: Joined) -> None:
    behaviour_part = unit(joined.items[:, : RECIPE.dimension])
    near = behaviour_part @ behaviour_part[10]
    assert near[:5].mean() > near[5:10].mean() + 0.3


def test_an_item_without_text_is_known_by_its_behaviour(joined: Joined) -> None:
    near = joined.items @ joined.items[11]
    assert near[5:10].mean() > near[:5].mean() + 0.1
    assert not joined.items[11, RECIPE.dimension :].any()


def test_an_item_with_neither_has_no_vector() -> None:
    user, item = behaviour()
    kept = item != 11
    found = learn_item_vectors(user[kept], item[kept], texts(), RECIPE).items
    assert not found[11].any()
    assert np.isfinite(found).all()


def test_data_without_any_text_have_vectors() -> None:
    found = learn_item_vectors(*behaviour(), np.zeros((ITEMS, DIMENSION), dtype=np.float32), RECIPE).items
    assert np.allclose(np.linalg.norm(found, axis=1), [1] * 10 + [0, 1], atol=1e-5)


def test_without_behaviour_the_text_speaks() -> None:
    none = np.zeros(0, dtype=np.int64)
    found = learn_item_vectors(none, none, texts(), RECIPE).items
    assert np.allclose(found[:, RECIPE.dimension :], texts(), atol=1e-6)


def test_the_order_and_repetition_of_events_change_nothing(joined: Joined) -> None:
    user, item = behaviour()
    order = np.random.default_rng(2).permutation(len(user))
    again = learn_item_vectors(np.tile(user[order], 2), np.tile(item[order], 2), texts(), RECIPE)
    assert np.array_equal(again.items, joined.items)


def test_a_text_of_its_own_lands_where_an_item_with_it_would(joined: Joined) -> None:
    carried = joined.carry(texts()[[10]])
    assert np.allclose(carried[0], joined.items[10], atol=1e-5)
    assert not joined.carry(np.zeros((1, DIMENSION), dtype=np.float32)).any()


def test_the_text_part_comes_back(joined: Joined) -> None:
    assert np.allclose(text_part(joined.items, RECIPE), texts(), atol=1e-5)

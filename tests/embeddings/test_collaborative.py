"""Item vectors of behaviour and text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from embeddings.collaborative import Joined, Recipe, learn_item_vectors, learn_space, unit
from embeddings.space_files import SpaceError, load_space, save_space

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
    carried = joined.space.carry(texts()[[10]])
    assert np.allclose(carried[0], joined.items[10], atol=1e-5)
    assert not joined.space.carry(np.zeros((1, DIMENSION), dtype=np.float32)).any()


def exact_vectors(user: np.ndarray, item: np.ndarray, text: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The definition, by LAPACK's singular values instead of the randomised ones."""
    matrix = np.zeros((user.max() + 1, len(text)))
    matrix[user, item] = 1
    users_of = matrix.sum(axis=0)
    scale = np.sqrt(np.outer(np.maximum(matrix.sum(axis=1), 1), np.maximum(users_of, 1)))
    _, values, right = np.linalg.svd(matrix / scale, full_matrices=False)
    kept = min(int((values > 1e-3).sum()), recipe.dimension)
    behaviour = np.zeros((len(text), recipe.dimension), dtype=np.float32)
    behaviour[:, :kept] = right[:kept].T * (users_of > 0)[:, None]
    behaviour = unit(behaviour)
    known = (users_of > 0) & text.any(axis=1)
    trust = users_of / (users_of + recipe.prior_users)
    gram = text[known].T @ (trust[known, None] * text[known]) + recipe.ridge * np.eye(text.shape[1])
    coefficients = np.linalg.solve(gram, text[known].T @ (trust[known, None] * behaviour[known]))
    own = np.where(text.any(axis=1), trust, 1)[:, None]
    leaning = unit((own * behaviour + (1 - own) * unit((text @ coefficients).astype(np.float32))).astype(np.float32))
    share = np.where(text.any(axis=1), np.where(leaning.any(axis=1), recipe.text_share, 1), 0)[:, None]
    return np.hstack([np.sqrt(1 - share) * leaning, np.sqrt(share) * text])


pairs = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 9)), min_size=1, max_size=80)


@hypothesis_settings(max_examples=60, deadline=None)
@given(pairs, st.integers(0, 999))
def test_learned_and_folded_in_again_is_what_the_exact_singular_vectors_give(
    events: list[tuple[int, int]], seed: int
) -> None:
    user, item = np.array(events).T
    text = unit(np.random.default_rng(seed).standard_normal((10, DIMENSION)).astype(np.float32))
    text[[2, 7]] = 0
    recipe = Recipe(dimension=12)  # all directions: which of two equal ones is cut off is nobody's to say
    found, wanted = learn_item_vectors(user, item, text, recipe).items, exact_vectors(user, item, text, recipe)
    assert np.allclose(found @ found.T, wanted @ wanted.T, atol=1e-3)


@hypothesis_settings(max_examples=60, deadline=None)
@given(pairs, pairs, st.integers(0, 999))
def test_more_events_move_items_within_the_frame_and_never_the_frame(
    before: list[tuple[int, int]], after: list[tuple[int, int]], seed: int
) -> None:
    text = unit(np.random.default_rng(seed).standard_normal((10, DIMENSION)).astype(np.float32))
    space = learn_space(*np.array(before).T, text, RECIPE)
    first = space.fold(*np.array(before).T, 10)
    assert np.allclose(first.behaviour, unit(space.vectors), atol=1e-3)
    # Other users with other items: those before are where they were.
    user, item = np.array(after).T
    user, item = np.append(np.array(before)[:, 0], user + 16), np.append(np.array(before)[:, 1], item + 10)
    row = np.append(np.arange(10), np.full(10, -1))
    found = space.item_vectors(user, item, np.vstack([text, text]), row)
    again = space.item_vectors(*np.array(before).T, text)
    assert np.allclose(found[:10], again, atol=1e-3)
    assert np.isfinite(found).all()


def bigger() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    taste = random.integers(0, 12, 600)
    user = np.repeat(np.arange(600), 8)
    return user, (taste[user] * 10 + random.integers(0, 14, len(user))) % 120


def test_an_item_that_nothing_happened_to_stays_and_a_new_one_joins_its_like() -> None:
    user, item = bigger()
    text = np.zeros((121, DIMENSION), dtype=np.float32)
    space = learn_space(user, item, text[:120], Recipe(dimension=16))
    first = space.item_vectors(user, item, text[:120])
    random = np.random.default_rng(4)
    # A week later: a tenth more events of half of the items, and an item that those of taste 3 take.
    more_user, more_item = random.integers(0, 600, 480), random.integers(60, 120, 480)
    takers = np.unique(user[(item >= 30) & (item < 40)])[:25]
    user = np.concatenate([user, more_user, takers])
    item = np.concatenate([item, more_item, np.full(25, 120)])
    row = np.append(np.arange(120), -1)
    found = space.item_vectors(user, item, text, row)
    same = np.vecdot(found[:60], first[:60])
    assert same.min() > 0.95 and np.vecdot(found[60:120], first[60:]).mean() < same.mean()
    near = found[:120] @ found[120]
    assert near[30:40].mean() > 3 * abs(np.delete(near, np.arange(26, 44)).mean())


def test_without_an_event_now_an_item_stands_where_it_stood() -> None:
    user, item = behaviour()
    space = learn_space(user, item, texts(), RECIPE)
    none = np.zeros(0, dtype=np.int64)
    assert np.allclose(space.item_vectors(none, none, texts()), space.item_vectors(user, item, texts()), atol=1e-4)
    gone = space.item_vectors(user[item != 3], item[item != 3], texts())
    assert np.allclose(gone[3], space.item_vectors(user, item, texts())[3], atol=1e-4)


def test_a_space_comes_back_from_its_files_and_the_same_one_has_the_same_bytes(tmp_path: Path) -> None:
    space = learn_space(*behaviour(), texts(), RECIPE)
    ids = pa.array([f"i{row:02}" for row in range(ITEMS)])
    for name in ("one", "two"):
        save_space(tmp_path / name, space, ids, {"model": "tiny@0/5"})
    stored = load_space(tmp_path / "one")
    assert stored.item_id.equals(ids) and stored.card["model"] == "tiny@0/5"
    assert stored.space.recipe == RECIPE
    for name in ("vectors", "users_of", "coefficients"):
        assert np.array_equal(getattr(stored.space, name), getattr(space, name))
    files = [sorted(file for file in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]


def test_files_that_are_no_space_are_refused(tmp_path: Path) -> None:
    space = learn_space(*behaviour(), texts(), RECIPE)
    ids = pa.array([f"i{row:02}" for row in range(ITEMS)])
    with pytest.raises(SpaceError, match="id of its text model"):
        save_space(tmp_path, space, ids, {})
    with pytest.raises(SpaceError, match="missing"):
        load_space(tmp_path)
    save_space(tmp_path, space, ids, {"model": "tiny@0/5"})
    pq.write_table(pa.table({"item_id": ids[:3]}), tmp_path / "items.parquet")
    with pytest.raises(SpaceError, match="do not belong together"):
        load_space(tmp_path)

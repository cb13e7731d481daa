import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.retrieval import nearest_items


def sorted_by_numpy(queries: np.ndarray, items: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores = queries @ items.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 30), st.integers(1, 35), st.integers(1, 12))
def test_equals_a_full_stable_sort_also_with_ties(seed: int, q: int, n: int, k: int, block: int) -> None:
    # Small whole numbers: products are exact, and many items tie.
    random = np.random.default_rng(seed)
    queries, items = (random.integers(-1, 2, (rows, 3)).astype(np.float32) for rows in (q, n))
    indices, cosines = nearest_items(queries, items, k, block)
    expected, scores = sorted_by_numpy(queries, items, k)
    assert np.array_equal(indices, expected)
    assert np.array_equal(cosines, scores)


def test_equals_a_full_sort_on_unit_vectors() -> None:
    random = np.random.default_rng(7)
    queries, items = (random.standard_normal((rows, 48)).astype(np.float32) for rows in (70, 900))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    indices, cosines = nearest_items(queries, items, 50, 32)
    expected, scores = sorted_by_numpy(queries, items, 50)
    assert np.array_equal(indices, expected)
    assert np.allclose(cosines, scores, atol=1e-6)


def test_refuses_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"\[q, d\] and \[n, d\]"):
        nearest_items(np.ones((1, 3), np.float32), np.ones((2, 4), np.float32), 1)
    with pytest.raises(ValueError, match="at least 1"):
        nearest_items(np.ones((1, 3), np.float32), np.ones((2, 3), np.float32), 0)

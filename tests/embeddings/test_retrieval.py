"""Nearest items: every way gives what a full stable sort gives, whatever is tied, excluded or hard to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embeddings.retrieval import coarse, index_pays, nearest_items, rates
from embeddings.retrieval.cost import forecast
from embeddings.retrieval.indexed import build_index

WAYS = ("auto", "float32", "int8")


def sorted_by_numpy(queries: np.ndarray, items: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores = queries @ items.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("precision", WAYS)
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), q=st.integers(0, 9), n=st.integers(0, 130), k=st.integers(1, 135))
def test_equals_a_full_stable_sort_also_with_ties(precision: str, seed: int, q: int, n: int, k: int) -> None:
    # Small whole numbers: products are exact, many items tie, some vectors are zero.
    random = np.random.default_rng(seed)
    queries, items = (random.integers(-1, 2, (rows, 3)).astype(np.float32) for rows in (q, n))
    indices, cosines = nearest_items(queries, items, k, precision=precision, threads=1)
    expected, scores = sorted_by_numpy(queries, items, k)
    assert np.array_equal(indices, expected)
    assert np.array_equal(cosines, scores)


@pytest.mark.parametrize("precision", WAYS)
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 130), k=st.integers(1, 40), share=st.sampled_from([0.1, 0.95]))
def test_what_is_not_allowed_or_excluded_is_not_there(precision: str, seed: int, n: int, k: int, share: float) -> None:
    random = np.random.default_rng(seed)
    queries, items = (random.integers(-2, 3, (rows, 3)).astype(np.float32) for rows in (7, n))
    allowed, barred = random.random(n) < 0.7, random.random((7, n)) < share
    indices, cosines = nearest_items(
        queries, items, k, allowed=allowed, excluded=np.nonzero(barred), precision=precision, threads=1
    )
    scores = queries @ items.T
    assert indices.shape == (7, min(k, int(allowed.sum())))
    for row in range(7):
        free = np.flatnonzero(allowed & ~barred[row])
        expected = free[np.argsort(-scores[row, free], kind="stable")][: indices.shape[1]]
        found = len(expected)
        assert indices[row, :found].tolist() == expected.tolist()
        assert np.array_equal(cosines[row, :found], scores[row, expected])
        assert (indices[row, found:] == -1).all()
        assert np.isneginf(cosines[row, found:]).all()


def clustered(random: np.random.Generator, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Users between a few items, in tight clusters around a common mean, as text vectors lie."""
    mean, centres = random.standard_normal(64), random.standard_normal((40, 64))
    items = unit(mean + centres[random.integers(0, 40, 6000)] + spread * random.standard_normal((6000, 64)))
    return unit(items[random.integers(0, 6000, (1500, 4))].sum(axis=1)), items


@pytest.mark.parametrize("precision", ("float32", "int8"))
@pytest.mark.parametrize("spread", (1.0, 0.05))
def test_low_precision_finds_the_items_of_float32(precision: str, spread: float) -> None:
    queries, items = clustered(np.random.default_rng(7), spread)
    indices, cosines = nearest_items(queries, items, 50, precision=precision, threads=2)
    expected, scores = sorted_by_numpy(queries, items, 50)
    assert np.abs(cosines - scores).max() < 1e-6
    # What differs ties but for the last bit.
    hits = sum(np.isin(found, wanted).sum() for found, wanted in zip(indices, expected, strict=True))
    assert hits / indices.size >= 0.9999


def test_many_copies_of_one_item_at_the_edge_are_taken_by_index() -> None:
    random = np.random.default_rng(1)
    items = unit(random.standard_normal((3000, 32)))
    items[1000:1500] = items[7]
    for precision in WAYS:
        indices, _ = nearest_items(items[7:8], items, 120, precision=precision)
        assert indices[0].tolist() == [7, *range(1000, 1119)]


def one_huge_component(random: np.random.Generator) -> np.ndarray:
    """What tells these apart is lost in the rounding of int8, whose range the first component takes."""
    rows = random.standard_normal((3000, 64)) * 1e-3
    rows[:, 0] = 1.0
    return unit(rows)


def equal_rounding_errors(random: np.random.Generator) -> np.ndarray:
    """All components but the first are rounded down by .4, so the errors of a sum do not make up for each other."""
    rows = random.integers(0, 21, (3000, 64)) + 0.4
    rows[:, 0] = 127.0
    return rows.astype(np.float32)


@pytest.mark.parametrize("make", [one_huge_component, equal_rounding_errors])
def test_int8_is_given_up_where_its_error_is_too_large(
    make: Callable[[np.random.Generator], np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    items = make(np.random.default_rng(5))
    with caplog.at_level("INFO", logger=coarse.__name__):
        indices, _ = nearest_items(items[:200], items, 10, precision="int8")
    assert "float32 from here" in caplog.text
    assert np.array_equal(indices, nearest_items(items[:200], items, 10, precision="float32")[0])


def test_items_nearly_alike_are_no_reason_to_give_int8_up(caplog: pytest.LogCaptureFixture) -> None:
    random = np.random.default_rng(8)
    kinds = unit(random.normal(size=(30, 32)))
    items = unit(np.repeat(kinds, 150, axis=0) + random.normal(size=(30 * 150, 32)) * 1e-4)
    queries = unit(kinds + random.normal(size=kinds.shape) * 0.01)
    with caplog.at_level("INFO", logger=coarse.__name__):
        index, _ = nearest_items(queries, items, 60, precision="int8")
    assert "float32 from here" not in caplog.text
    np.testing.assert_array_equal(index, nearest_items(queries, items, 60, precision="float32")[0])


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, items = clustered(np.random.default_rng(3), 0.5)
    excluded = np.nonzero(np.random.default_rng(4).random((len(queries), len(items))) < 0.01)
    whole = [nearest_items(queries, items, 20, excluded=excluded, precision=way) for way in ("float32", "int8")]
    monkeypatch.setattr(coarse, "SCORES", 700_000)
    for (indices, cosines), precision in zip(whole, ("float32", "int8"), strict=True):
        again = nearest_items(queries, items, 20, excluded=excluded, precision=precision, threads=1)
        assert np.array_equal(indices, again[0])
        assert np.array_equal(cosines, again[1])


def test_the_fastest_precision_is_measured() -> None:
    measured = rates.product_rates(2)
    assert measured["float32"] > 1e8
    with rates.threads_of_torch(2):
        assert rates.fastest_precision() == max(measured, key=lambda name: measured[name])


def test_refuses_what_cannot_be_compared() -> None:
    three, four = np.ones((1, 3), np.float32), np.ones((2, 4), np.float32)
    with pytest.raises(ValueError, match=r"\[q, d\] and \[n, d\]"):
        nearest_items(three, four, 1)
    with pytest.raises(ValueError, match="at least 1"):
        nearest_items(three, three, 0)
    for query, item in (([1], [0]), ([0], [1]), ([0], [-1]), ([0, 0], [0])):
        with pytest.raises(ValueError, match="rows of 1 queries"):
            nearest_items(three, three, 1, excluded=(np.array(query), np.array(item)))
    with pytest.raises(ValueError, match="ascending"):
        nearest_items(four, four, 1, excluded=(np.array([1, 0]), np.array([0, 0])))


def test_an_index_finds_most_of_what_is_exact_and_never_what_is_excluded(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    queries, items = clustered(random, 0.5)
    allowed = random.random(len(items)) < 0.8
    index = build_index(tmp_path, items[allowed], queries, 30, threads=2)
    assert index.good_enough
    assert index.seconds > 0
    # Some queries may not find hundreds of what lies nearest to them, others nothing of that.
    nearest = nearest_items(queries, items, 400)[0]
    barred = np.zeros((len(queries), len(items)), dtype=bool)
    for row in range(0, len(queries), 3):
        barred[row, nearest[row, : row % 400]] = True
    excluded = np.nonzero(barred)
    exact, _ = nearest_items(queries, items, 30, allowed=allowed, excluded=excluded)
    found, cosines = nearest_items(queries, items, 30, allowed=allowed, excluded=excluded, index=index)
    assert np.isin(found, np.flatnonzero(allowed)).all()
    assert not barred[np.arange(len(queries))[:, None], found].any()
    assert np.mean([np.isin(ours, theirs).mean() for ours, theirs in zip(found, exact, strict=True)]) > 0.95
    assert (np.diff(cosines) <= 0).all()
    assert np.abs(np.einsum("qkd,qd->qk", items[found], queries) - cosines).max() < 1e-6


def test_an_index_of_hardly_any_items_gives_what_there_is(tmp_path: Path) -> None:
    items = np.eye(3, dtype=np.float32)
    index = build_index(tmp_path, items, items, 5, threads=1)
    found, cosines = nearest_items(items[:1], items, 5, excluded=(np.array([0]), np.array([1])), index=index)
    assert found.tolist() == [[0, 2, -1]]
    assert cosines.tolist() == [[1.0, 0.0, -np.inf]]


def test_an_index_is_foreseen_to_pay_for_many_users_of_a_huge_catalogue_only() -> None:
    assert not index_pays(200_000, 100_000, 384, 100, threads=2)
    small, huge = (forecast(1_000_000, n, 64, 100, threads=2) for n in (100_000, 1_000_000_000))
    assert small.exact < small.indexed
    assert huge.indexed < huge.exact

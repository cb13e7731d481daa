import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.fusion.fixed import fuse

DIMENSION = 5


def unit_rows(seed: int, rows: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1)), min_size=1, max_size=12),
)
def test_fused_vectors_are_unit_and_cosines_split(seed: int, users: list[tuple[bool, bool, float]]) -> None:
    has_long, has_short, gates = (np.array(column) for column in zip(*users, strict=True))
    long, short, item = unit_rows(seed, len(users)), unit_rows(seed + 1, len(users)), unit_rows(seed + 2, 1)[0]
    fused, gate, norm = fuse(long, short, has_long, has_short, gates)
    some = has_long | has_short
    assert np.allclose(np.linalg.norm(fused[some], axis=1), 1, atol=1e-6)
    assert not fused[~some].any()
    assert np.isnan(gate[~some]).all() and np.isnan(norm[~some]).all()
    assert (gate[has_long & ~has_short] == 1).all() and (gate[~has_long & has_short] == 0).all()
    parts = (np.where(has_long, gate, 0) * (long @ item) + np.where(has_short, 1 - gate, 0) * (short @ item)) / norm
    assert np.allclose(parts[some], (fused @ item)[some], atol=1e-5)


def test_one_vector_only_is_kept_as_it_is_whatever_the_other_row_holds() -> None:
    long, nothing = unit_rows(0, 1), np.full((1, DIMENSION), np.nan, dtype=np.float32)
    yes, no = np.array([True]), np.array([False])
    fused, gate, norm = fuse(long, nothing, yes, no, 0.3)
    assert np.allclose(fused, long) and gate == 1 and norm == pytest.approx(1)
    fused, gate, norm = fuse(nothing, long, no, yes, 0.3)
    assert np.allclose(fused, long) and gate == 0 and norm == pytest.approx(1)


def test_opposite_vectors_of_equal_weight_fall_back_to_the_short_one() -> None:
    short, yes = unit_rows(0, 1), np.array([True])
    fused, gate, norm = fuse(-short, short, yes, yes, 0.5)
    assert np.allclose(fused, short) and gate == 0 and norm == pytest.approx(1)


def test_a_gate_at_either_end_is_one_of_the_two() -> None:
    long, short, yes = unit_rows(0, 1), unit_rows(1, 1), np.array([True])
    assert np.allclose(fuse(long, short, yes, yes, 1.0)[0], long)
    assert np.allclose(fuse(long, short, yes, yes, 0.0)[0], short)


@pytest.mark.parametrize("gate", [-0.1, 1.1, float("nan")])
def test_a_gate_outside_its_range_is_refused(gate: float) -> None:
    long, yes = unit_rows(0, 1), np.array([True])
    with pytest.raises(ValueError, match="fusion_gate"):
        fuse(long, long, yes, yes, gate)

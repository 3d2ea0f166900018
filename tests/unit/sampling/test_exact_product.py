"""Products that do not depend on what else is in the matrix."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampling.exact_product import product


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 70),
    width=st.sampled_from([1, 3, 64, 257]),
    heads=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
    begin=st.integers(0, 69),
    count=st.integers(1, 70),
)
def test_a_row_is_the_same_to_the_last_bit_whatever_stands_beside_it(
    n: int, width: int, heads: int, seed: int, begin: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((n, width)) * 10.0 ** rng.integers(-6, 6, (n, 1))).astype(np.float32)
    weights = rng.standard_normal((heads, width))
    some = slice(begin, begin + count)
    np.testing.assert_array_equal(product(rows, weights)[some], product(rows[some], weights))
    order = rng.permutation(n)
    np.testing.assert_array_equal(product(rows, weights)[order], product(rows[order], weights))
    mixed = rng.permutation(width)
    np.testing.assert_array_equal(product(rows, weights), product(rows[:, mixed], weights[:, mixed]))


def test_the_sum_itself_is_exact() -> None:
    # Large numbers that cancel and leave a small one behind: a rounded sum loses it.
    rows = np.array([[2.0**10, 1.0, -(2.0**10)], [0.0, 0.0, 0.0]])
    weights = np.array([[2.0**9, 2.0**-9, 2.0**9], [3.0, 0.0, 3.0]])
    exact = [
        [sum(Fraction(x) * Fraction(w) for x, w in zip(row, head, strict=True)) for head in weights] for row in rows
    ]
    assert product(rows, weights).tolist() == [[float(value) for value in row] for row in exact]


@pytest.mark.parametrize("width", [1, 64, 768, 4_096, 10_000])
def test_the_rounding_of_the_factors_stays_small(width: int) -> None:
    rng = np.random.default_rng(width)
    rows, weights = rng.standard_normal((50, width)).astype(np.float32), rng.standard_normal((7, width))
    exact = rows.astype(np.longdouble) @ weights.T.astype(np.longdouble)
    lengths = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(weights, axis=1)
    assert np.abs((product(rows, weights) - exact) / lengths).max() < 3e-6


def test_empty_and_tiny_tables() -> None:
    assert product(np.empty((0, 4), dtype=np.float16), np.ones((2, 4))).shape == (0, 2)
    assert product(np.empty((3, 0)), np.empty((2, 0))).tolist() == [[0.0, 0.0]] * 3
    tiny = np.full((1, 2), 1e-40, dtype=np.float32)
    assert product(tiny, np.ones((1, 2)))[0, 0] == pytest.approx(2e-40, rel=1e-6)


def test_neither_argument_is_changed_and_shapes_must_fit() -> None:
    rows, weights = np.ones((2, 3)), np.ones((1, 3))
    product(rows, weights)
    assert (rows == 1.0).all()
    assert (weights == 1.0).all()
    with pytest.raises(ValueError, match="do not fit"):
        product(rows, np.ones((1, 2)))

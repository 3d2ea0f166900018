import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from datasets.estimation.two_proportions import difference


def test_reference_anchoring() -> None:
    found = difference(850, 1000, 780, 1000)
    assert found.value == pytest.approx(0.07)
    assert found.standard_error == pytest.approx(0.017295, abs=5e-7)
    assert found.z == pytest.approx(4.031, abs=5e-4)
    # The reference interval is value -+ 1.96 standard errors; Newcombe's is next to it with so many observations.
    assert (0.07 - 1.96 * found.standard_error, 0.07 + 1.96 * found.standard_error) == pytest.approx(
        (0.0361, 0.1039), abs=5e-5
    )
    assert (found.low, found.high) == pytest.approx((0.0361, 0.1039), abs=3e-4)
    assert found.is_clear


@pytest.mark.parametrize(
    ("first", "n_first", "second", "n_second", "low", "high"),
    # Newcombe 1998, table II, method 10.
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 20, 0.6791, 1.0),
        (0, 10, 0, 20, -0.1611, 0.2775),
    ],
)
def test_published_intervals(first: int, n_first: int, second: int, n_second: int, low: float, high: float) -> None:
    found = difference(first, n_first, second, n_second)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(2, 400), st.integers(2, 400), st.data())
def test_the_statistic_is_the_pooled_chi_square(n_first: int, n_second: int, data: st.DataObject) -> None:
    first, second = data.draw(st.integers(0, n_first)), data.draw(st.integers(0, n_second))
    found, mirrored = difference(first, n_first, second, n_second), difference(second, n_second, first, n_first)
    assert found.value is not None
    assert found.low == pytest.approx(-mirrored.high)
    assert -1 <= found.low <= found.value <= found.high <= 1
    if 0 < first + second < n_first + n_second:
        table = [[first, n_first - first], [second, n_second - second]]
        assert found.z**2 == pytest.approx(chi2_contingency(table, correction=False).statistic)


def test_nothing_observed_is_no_value() -> None:
    found = difference(0, 0, 3, 10)
    assert (found.value, found.low, found.high) == (None, -1.0, 1.0)
    assert math.isnan(found.z)
    assert not found.is_clear
    same = difference(0, 4, 0, 4)
    assert (same.value, same.z) == (0.0, 0.0)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="successes"):
        difference(5, 4, 1, 4)

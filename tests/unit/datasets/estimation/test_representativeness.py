import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.estimation.overlap import effective_sample_size
from datasets.estimation.representativeness import non_response, r_indicator, representativeness

PROPENSITIES, SHARES = [0.30, 0.12, 0.05], [0.2, 0.5, 0.3]


def test_reference_values() -> None:
    found = representativeness(PROPENSITIES, SHARES)
    assert found.mean == pytest.approx(0.135)
    assert found.deviation == pytest.approx(0.087892, abs=5e-7)
    assert found.indicator == pytest.approx(0.824216, abs=5e-7)
    assert found.variation == pytest.approx(0.651051, abs=1e-6)
    assert sum(each**2 for each in found.partial) == pytest.approx(found.deviation**2)
    assert found.partial[0] > 0 > found.partial[2]


def test_reference_bias_of_non_response() -> None:
    found = non_response(PROPENSITIES, [0.9, 0.7, 0.5], SHARES)
    assert found.population_mean == pytest.approx(0.68)
    assert found.respondent_mean == pytest.approx(0.766667, abs=5e-7)
    assert found.bias == pytest.approx(0.086667, abs=5e-7)


def test_reference_effective_sample_size() -> None:
    assert effective_sample_size(np.array([1.0, 1.0, 2.0, 4.0])) == pytest.approx(2.909091, abs=5e-7)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 10), st.floats(-5, 5)), min_size=1, max_size=8))
def test_bias_is_the_difference_of_the_means_and_is_bounded(rows: list[tuple[float, float, float]]) -> None:
    chances, sizes, outcomes = (list(column) for column in zip(*rows, strict=True))
    found = representativeness(chances, sizes)
    assert 0.0 - 1e-9 <= found.indicator <= 1.0
    if found.mean < 1e-6:
        return
    bias = non_response(chances, outcomes, sizes)
    assert bias.bias == pytest.approx(bias.respondent_mean - bias.population_mean, abs=1e-6)
    spread = representativeness([(each + 5) / 10 for each in outcomes], sizes).deviation * 10
    assert abs(bias.bias) <= found.variation * spread + 1e-6


def test_equal_groups_represent_fully_and_chance_is_taken_off() -> None:
    rng = np.random.default_rng(3)
    asked = [40, 40, 40, 40]
    found = [r_indicator(rng.binomial(40, 0.3, size=4).tolist(), asked) for _ in range(400)]
    observed = np.mean([each.observed.indicator for each in found])
    squares = np.mean([((1 - each.observed.indicator) / 2) ** 2 for each in found])
    # Equal groups scatter: (g - 1) / g of the variance of one propensity.
    assert squares == pytest.approx(0.75 * 0.3 * 0.7 / 40, rel=0.15)
    assert np.mean([each.adjusted for each in found]) > observed + 0.04
    assert np.mean([each.high >= 1.0 - 1e-12 for each in found]) > 0.8


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(4)
    asked = np.array([400, 1000, 600])
    truth = representativeness(PROPENSITIES, SHARES).indicator
    found = [r_indicator(rng.binomial(asked, PROPENSITIES).tolist(), asked.tolist()) for _ in range(1_000)]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert covered == pytest.approx(0.95, abs=0.025)
    assert np.mean([each.adjusted for each in found]) == pytest.approx(truth, abs=0.003)


def test_degenerate_groups() -> None:
    alone = r_indicator([3], [10])
    assert (alone.observed.indicator, alone.adjusted, alone.low, alone.high) == (1.0, 1.0, 1.0, 1.0)
    nobody = r_indicator([0, 0], [10, 10])
    assert nobody.adjusted == 1.0
    assert math.isnan(nobody.observed.variation)
    even = r_indicator([5, 5], [10, 10])
    assert even.adjusted == 1.0
    assert even.low < 0.9


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="row 1"):
        representativeness([0.5, 1.5], [1, 1])
    with pytest.raises(ValueError, match="positive sum"):
        representativeness([0.5], [0])
    with pytest.raises(ValueError, match="shape"):
        representativeness([0.5, 0.2], [1])
    with pytest.raises(ValueError, match="row 0"):
        r_indicator([11], [10])
    with pytest.raises(ValueError, match="row 0"):
        r_indicator([0], [1])
    with pytest.raises(ValueError, match="confidence"):
        r_indicator([1], [10], confidence=1)
    with pytest.raises(ValueError, match="nobody"):
        non_response([0.0], [1.0], [1.0])

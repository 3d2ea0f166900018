import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, multinomial, norm

from training.gates import GateResult, difference_lower_bound, mcnemar_mid_p, not_worse


def _pairs(*, both: int, gained: int, lost: int, neither: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    candidate = [True] * both + [True] * gained + [False] * lost + [False] * neither
    champion = [True] * both + [False] * gained + [True] * lost + [False] * neither
    return np.array(candidate, dtype=bool), np.array(champion, dtype=bool)


def _compare(**counts: int) -> GateResult:
    return not_worse(*_pairs(**counts))


def test_counts_and_accuracies_are_those_of_the_rows() -> None:
    result = _compare(both=60, gained=12, lost=8, neither=20)
    assert (result.n, result.gained, result.lost) == (100, 12, 8)
    assert result.candidate_accuracy == pytest.approx(0.72)
    assert result.champion_accuracy == pytest.approx(0.68)
    assert result.difference == pytest.approx(0.04)


def test_a_better_candidate_passes() -> None:
    result = _compare(both=60, gained=15, lost=5, neither=20)
    assert result.outcome == "not_worse"
    assert result.is_passed
    assert result.lower_bound > 0.0


def test_a_tie_passes_even_where_the_rows_cannot_exclude_a_loss() -> None:
    result = _compare(both=60, gained=8, lost=8, neither=24)
    assert result.lower_bound < -0.05
    assert result.outcome == "not_worse"


def test_identical_models_pass() -> None:
    result = _compare(both=70, gained=0, lost=0, neither=30)
    assert result.outcome == "not_worse"
    assert result.p_worse == 0.5


def test_a_clear_loss_is_called_worse() -> None:
    result = _compare(both=60, gained=2, lost=14, neither=24)
    assert result.outcome == "worse"
    assert not result.is_passed
    assert result.p_worse < 0.01


def test_a_loss_the_rows_cannot_settle_is_undecided_and_does_not_pass() -> None:
    result = _compare(both=60, gained=6, lost=8, neither=26)
    assert result.outcome == "undecided"
    assert not result.is_passed
    assert result.p_worse > 0.05


def test_a_small_loss_passes_once_the_rows_show_that_it_is_small() -> None:
    result = _compare(both=8_000, gained=95, lost=105, neither=1_800)
    assert result.difference == pytest.approx(-0.001)
    assert result.outcome == "not_worse"
    strict = not_worse(*_pairs(both=8_000, gained=95, lost=105, neither=1_800), margin=0.001)
    assert strict.outcome == "undecided"


@pytest.mark.parametrize("n", [0, 1, 19])
def test_too_few_rows_give_no_verdict_however_good_the_candidate_looks(n: int) -> None:
    result = _compare(both=0, gained=n, lost=0, neither=0)
    assert result.outcome == "too_few_rows"
    assert not result.is_passed


def test_no_rows_give_no_numbers() -> None:
    result = _compare(both=0, gained=0, lost=0, neither=0)
    assert result.candidate_accuracy is result.champion_accuracy is result.difference is None
    assert result.lower_bound == -1.0


def test_the_order_of_the_rows_does_not_matter() -> None:
    candidate, champion = _pairs(both=20, gained=5, lost=7, neither=9)
    order = np.random.default_rng(0).permutation(len(candidate))
    assert not_worse(candidate[order], champion[order]) == not_worse(candidate, champion)


def test_mid_p_agrees_with_the_published_example() -> None:
    # Fagerland, Lydersen, Laake 2013, airway hyper-responsiveness: two-sided mid-p 0.039.
    assert round(2 * mcnemar_mid_p(1, 7), 3) == 0.039


@given(st.integers(0, 60), st.integers(0, 60))
def test_mid_p_lies_between_the_exact_test_and_the_test_without_the_observed_table(gained: int, lost: int) -> None:
    if gained + lost == 0:
        assert mcnemar_mid_p(0, 0) == 0.5
        return
    exact = binomtest(gained, gained + lost, 0.5, alternative="less").pvalue
    beyond = binomtest(gained - 1, gained + lost, 0.5, alternative="less").pvalue if gained else 0.0
    assert mcnemar_mid_p(gained, lost) == pytest.approx((exact + beyond) / 2)
    assert mcnemar_mid_p(gained, lost) + mcnemar_mid_p(lost, gained) == pytest.approx(1.0)


def _score_statistic(gained: int, lost: int, n: int, delta: float) -> float:
    """Tango's statistic the long way: the likelihood under difference = delta is maximised by search."""

    def deviance(loss: float) -> float:
        probabilities = [loss + delta, loss, 1.0 - 2.0 * loss - delta]
        return -float(multinomial.logpmf([gained, lost, n - gained - lost], n, probabilities))

    lowest, highest = max(0.0, -delta), (1.0 - delta) / 2.0
    loss = float(
        minimize_scalar(
            deviance, bounds=(lowest + 1e-12, highest - 1e-12), method="bounded", options={"xatol": 1e-12}
        ).x
    )
    return (gained - lost - n * delta) / math.sqrt(n * (2 * loss + delta - delta * delta))


@pytest.mark.parametrize(
    ("gained", "lost", "n"),
    [(8, 8, 100), (12, 2, 50), (1, 12, 30), (3, 5, 20), (40, 25, 150), (86, 150, 1600), (0, 3, 20), (3, 0, 20)],
)
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_at_the_lower_bound_the_score_test_is_just_rejected(gained: int, lost: int, n: int, confidence: float) -> None:
    bound = difference_lower_bound(gained, lost, n, confidence=confidence)
    assert _score_statistic(gained, lost, n, bound) == pytest.approx(norm.ppf(confidence), abs=1e-3)


def test_without_any_disagreement_the_bound_is_that_of_no_success_in_n() -> None:
    # Then Tango's bound is Wilson's for 0 of n: -z^2 / (n + z^2).
    z2 = norm.ppf(0.95) ** 2
    assert difference_lower_bound(0, 0, 50, confidence=0.95) == pytest.approx(-z2 / (50 + z2))


def test_the_bound_at_the_extremes() -> None:
    assert difference_lower_bound(0, 20, 20, confidence=0.95) == -1.0
    assert difference_lower_bound(0, 0, 0, confidence=0.95) == -1.0
    z2 = norm.ppf(0.95) ** 2
    assert difference_lower_bound(20, 0, 20, confidence=0.95) == pytest.approx((20 - z2) / (20 + z2))


@given(st.integers(1, 80), st.data())
def test_the_bound_lies_below_the_observed_difference_and_rises_with_each_gain(n: int, data: st.DataObject) -> None:
    gained = data.draw(st.integers(0, n - 1))
    lost = data.draw(st.integers(0, n - 1 - gained))
    bound = difference_lower_bound(gained, lost, n, confidence=0.95)
    assert -1.0 <= bound <= (gained - lost) / n
    assert difference_lower_bound(gained + 1, lost, n, confidence=0.95) > bound


def test_the_bound_holds_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    repetitions, n, truth = 2_000, 60, 0.05
    draws = rng.multinomial(n, [0.15, 0.10, 0.75], size=repetitions)
    bounds = {
        (gained, lost): difference_lower_bound(gained, lost, n, confidence=0.95)
        for gained, lost in set(map(tuple, draws[:, :2].tolist()))
    }
    covered = np.mean([bounds[gained, lost] <= truth for gained, lost in draws[:, :2].tolist()])
    assert abs(covered - 0.95) < 0.01 + 3 * math.sqrt(0.95 * 0.05 / repetitions)


def _chance_to_pass(n: int, gain: float, loss: float) -> float:
    """Exact, over all tables of n rows."""
    passed = 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            chance = float(multinomial.pmf([gained, lost, n - gained - lost], n, [gain, loss, 1.0 - gain - loss]))
            if chance > 1e-9 and (gained >= lost or difference_lower_bound(gained, lost, n, confidence=0.95) > -0.02):
                passed += chance
    return passed


def test_a_much_worse_candidate_seldom_passes_and_a_much_better_one_nearly_always() -> None:
    assert _chance_to_pass(100, gain=0.04, loss=0.14) < 0.02
    assert _chance_to_pass(100, gain=0.14, loss=0.04) > 0.98


def test_wrong_arguments_are_refused() -> None:
    candidate, champion = _pairs(both=20, gained=5, lost=5, neither=0)
    with pytest.raises(ValueError, match="one answer per row"):
        not_worse(candidate, champion[:-1])
    with pytest.raises(ValueError, match="boolean"):
        not_worse(candidate.astype(np.int8), champion)
    for margin in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="margin"):
            not_worse(candidate, champion, margin=margin)
    for confidence in (0.5, 1.0, 95.0):
        with pytest.raises(ValueError, match="confidence"):
            not_worse(candidate, champion, confidence=confidence)
    with pytest.raises(ValueError, match="min_rows"):
        not_worse(candidate, champion, min_rows=0)

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom, norm

from datasets.estimation import randomised_response as rr
from datasets.estimation.wilson import proportion_interval

TABLE = [
    # k, epsilon, keep, flip, sd at f = 0.1 with 10,000 answers, variance inflation at f = 0.5
    (2, 0.5, 0.622459, 0.377541, 0.02002, 16.7),
    (2, 1.0, 0.731059, 0.268941, 0.01005, 4.68),
    (2, math.log(3), 0.750000, 0.250000, 0.00917, 4.00),
    (2, 2.0, 0.880797, 0.119203, 0.00521, 1.72),
    (2, 4.0, 0.982014, 0.017986, 0.00330, 1.08),
    (3, 1.0, 0.576117, 0.211942, 0.01186, 7.20),
    (3, 2.0, 0.786986, 0.106507, 0.00558, 2.14),
    (5, 1.0, 0.404610, 0.148848, 0.01484, 12.2),
    (5, 2.0, 0.648786, 0.087804, 0.00626, 2.96),
    (10, 1.0, 0.231969, 0.085337, 0.02046, 24.8),
    (10, 2.0, 0.450853, 0.061016, 0.00770, 5.01),
]


@pytest.mark.parametrize(("k", "epsilon", "keep", "flip", "sd", "inflation"), TABLE)
def test_reference_table(k: int, epsilon: float, keep: float, flip: float, sd: float, inflation: float) -> None:
    said = rr.channel(epsilon, k)
    assert (round(said.keep, 6), round(said.flip, 6)) == (keep, flip)
    assert rr.epsilon_of(said.keep, k) == pytest.approx(epsilon)
    assert round(rr.standard_error(0.1, 10_000, epsilon=epsilon, k=k), 5) == sd
    against_none = rr.standard_error(0.5, 100, epsilon=epsilon, k=k) ** 2 / (0.25 / 100)
    assert against_none == pytest.approx(inflation, rel=4e-3)


def test_reference_example() -> None:
    said = rr.estimate(np.array([500, 300, 200]), epsilon=1.0)
    np.testing.assert_allclose(said.values, [0.790988, 0.241802, -0.032791], atol=5e-7)
    assert said.n == 1000
    assert said.values.sum() == pytest.approx(1.0)
    assert (said.low < said.values).all()
    assert (said.high > said.values).all()


@pytest.mark.parametrize(
    ("k", "epsilon", "n"), [(2, 2.0, 1669), (2, math.log(3), 4098), (2, 1.0, 4827), (5, 2.0, 2584), (5, 1.0, 11399)]
)
def test_reference_numbers_of_answers(k: int, epsilon: float, n: int) -> None:
    assert rr.answers_needed(0.03, epsilon=epsilon, k=k, share=0.3) == n


def test_without_noise_897_answers_would_do() -> None:
    assert math.ceil((norm.ppf(0.975) / 0.03) ** 2 * 0.3 * 0.7) == 897
    assert rr.answers_needed(0.03, epsilon=30.0, k=2, share=0.3) == 897


def test_two_stages_compose_to_the_reference_probabilities() -> None:
    # A permanent answer with epsilon 2, then an instantaneous one, is in all a single one with epsilon 1.
    for k, first, second, keep, flip in (
        (2, 0.880797, 0.803388, 0.731059, 0.268941),
        (5, 0.648786, 0.564735, 0.404610, 0.148848),
    ):
        permanent = rr.channel(2.0, k)
        assert round(permanent.keep, 6) == first
        instantaneous = rr.channel(rr.epsilon_of(second, k), k)
        both = permanent.matrix() @ instantaneous.matrix()
        np.testing.assert_allclose(both, rr.Channel(keep, flip, k).matrix(), atol=2e-6)


def test_fresh_noise_each_time_would_tell_the_truth() -> None:
    # Why the widget draws its noise once for good: accuracy of a majority vote over t reports with epsilon 1.
    keep = rr.channel(1.0, 2).keep
    for reports, accuracy in ((1, 0.73), (5, 0.88)):
        assert float(binom.sf(reports // 2, reports, keep)) == pytest.approx(accuracy, abs=0.006)
    for reports, accuracy in ((10, 0.94), (30, 0.995)):
        ties = float(binom.pmf(reports // 2, reports, keep)) / 2
        assert float(binom.sf(reports // 2, reports, keep)) + ties == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize(("epsilon", "most"), [(1.0, 10), (2.0, 24)])
def test_unary_encoding_would_be_better_for_many_answers_only(epsilon: float, most: int) -> None:
    # Rare answers, k up to 3 e^epsilon + 2: 10.2 and 24.2. Private questions have at most 5.
    n = 10_000
    unary = 4 * math.exp(epsilon) / (n * (math.exp(epsilon) - 1) ** 2)
    if epsilon == 1.0:
        assert unary == pytest.approx(3.68e-4, rel=2e-3)
    assert rr.standard_error(0.0, n, epsilon=epsilon, k=most) ** 2 < unary
    assert rr.standard_error(0.0, n, epsilon=epsilon, k=most + 1) ** 2 > unary


def test_estimates_scatter_as_the_reference_simulation_and_their_own_covariance_say() -> None:
    rng = np.random.default_rng(5)
    truth = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
    said, n, runs = rr.channel(1.0, 5), 10_000, 4_000
    reported = rng.multinomial(n, truth @ said.matrix(), size=runs)
    estimates = [rr.estimate(row, epsilon=1.0) for row in reported]
    values = np.array([each.values for each in estimates])
    theory = [0.0170, 0.0163, 0.0153, 0.0148, 0.0144]
    np.testing.assert_allclose(values.std(axis=0), theory, rtol=0.06)
    np.testing.assert_allclose(values.mean(axis=0), truth, atol=4 * 0.017 / math.sqrt(runs))
    np.testing.assert_allclose(estimates[0].covariance, np.cov(values.T), atol=2.5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(estimates[0].covariance)), theory, rtol=0.05)
    covered = np.mean([(each.low <= truth) & (truth <= each.high) for each in estimates], axis=0)
    np.testing.assert_allclose(covered, 0.95, atol=4 * math.sqrt(0.95 * 0.05 / runs) + 0.002)


def test_intervals_hold_for_answers_that_nobody_gives() -> None:
    rng = np.random.default_rng(6)
    truth = np.array([0.0, 0.02, 0.98])
    for epsilon in (0.5, 2.0, 6.0):
        reported = rng.multinomial(500, truth @ rr.channel(epsilon, 3).matrix(), size=2_000)
        estimates = [rr.estimate(row, epsilon=epsilon) for row in reported]
        covered = np.mean([(each.low <= truth) & (truth <= each.high) for each in estimates], axis=0)
        assert (covered > 0.925).all(), (epsilon, covered)


def test_one_group_has_wilson_s_interval_stretched() -> None:
    counts, said = np.array([220, 300, 80]), rr.channel(1.5, 3)
    found = rr.estimate(counts, epsilon=1.5, confidence=0.9)
    for place, count in enumerate(counts.tolist()):
        wilson = proportion_interval(count, 600, confidence=0.9)
        assert found.low[place] == pytest.approx((wilson.low - said.flip) / said.gain)
        assert found.high[place] == pytest.approx((wilson.high - said.flip) / said.gain)


def test_a_mixture_is_unbiased_and_more_precise_than_its_best_part() -> None:
    rng = np.random.default_rng(7)
    truth, epsilons, sizes = np.array([0.5, 0.3, 0.2]), np.array([0.5, 1.0, 3.0]), (4_000, 2_000, 400)
    estimates, runs = [], 3_000
    for _ in range(runs):
        counts = np.array(
            [
                rng.multinomial(n, truth @ rr.channel(epsilon, 3).matrix())
                for n, epsilon in zip(sizes, epsilons.tolist(), strict=True)
            ]
        )
        estimates.append(rr.estimate_mixture(counts, epsilons=epsilons))
    values = [each.values for each in estimates]
    covered = [(each.low <= truth) & (truth <= each.high) for each in estimates]
    spread = np.std(values, axis=0)
    np.testing.assert_allclose(np.mean(values, axis=0), truth, atol=4 * float(spread.max()) / math.sqrt(runs))
    np.testing.assert_allclose(np.sqrt(np.diag(estimates[0].covariance)), spread, rtol=0.1)
    np.testing.assert_allclose(np.mean(covered, axis=0), 0.95, atol=0.018)
    parts = [rr.standard_error(0.5, n, epsilon=e, k=3) for n, e in zip(sizes, epsilons.tolist(), strict=True)]
    assert spread[0] < min(parts)


def test_groups_of_one_epsilon_are_one_group() -> None:
    parts = np.array([[100, 200, 50], [150, 80, 120], [0, 0, 0]])
    together = rr.estimate(parts.sum(axis=0), epsilon=1.2)
    apart = rr.estimate_mixture(parts, epsilons=np.array([1.2, 1.2, 1.2]))
    np.testing.assert_allclose(apart.values, together.values)


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000), st.integers(0, 3_000)), min_size=1, max_size=4),
    st.data(),
)
def test_shares_sum_to_one_and_intervals_hold_them(parts: list[tuple[int, int, int]], data: st.DataObject) -> None:
    epsilons = [data.draw(st.floats(0.05, 8.0)) for _ in parts]
    counts = np.array(parts)
    if counts.sum() == 0:
        return
    found = rr.estimate_mixture(counts, epsilons=np.array(epsilons), fewest=1)
    assert found.values.sum() == pytest.approx(1.0, abs=1e-6)
    assert (found.low <= found.values).all()
    assert (found.values <= found.high).all()
    assert found.shown.sum() == pytest.approx(1.0)
    assert (found.shown >= 0).all()
    np.testing.assert_allclose(found.covariance.sum(axis=0), 0.0, atol=1e-9 + float(np.abs(found.covariance).max()))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6))
def test_the_projection_is_the_nearest_point(values: list[float]) -> None:
    target = np.array(values)
    found = rr.project_to_simplex(target)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    # The nearest point lowers all coordinates alike, but none below 0.
    fall = brentq(lambda each: float(np.maximum(target - each, 0).sum()) - 1.0, target.min() - 2.0, target.max())
    np.testing.assert_allclose(found, np.maximum(target - fall, 0.0), atol=1e-9)


def test_shares_that_are_possible_stay_as_they_are() -> None:
    np.testing.assert_allclose(rr.project_to_simplex(np.array([0.2, 0.5, 0.3])), [0.2, 0.5, 0.3])


def test_few_answers_are_refused() -> None:
    with pytest.raises(rr.TooFewAnswers, match="499 randomised answers are too few") as refused:
        rr.estimate(np.array([250, 249]), epsilon=1.0)
    assert (refused.value.n, refused.value.fewest) == (499, 500)
    assert rr.estimate(np.array([250, 250]), epsilon=1.0).n == 500
    with pytest.raises(rr.TooFewAnswers):
        rr.estimate(np.array([0, 0]), epsilon=1.0, fewest=0)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan])
def test_an_epsilon_that_hides_all_or_nothing_is_refused(epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        rr.channel(epsilon, 2)
    with pytest.raises(ValueError, match="row 0: epsilon"):
        rr.estimate(np.array([300, 300]), epsilon=epsilon)


def test_other_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        rr.channel(1.0, 1)
    for keep in (0.5, 1.0, math.nan):
        with pytest.raises(ValueError, match="keep"):
            rr.epsilon_of(keep, 2)
    with pytest.raises(ValueError, match="at least 2"):
        rr.epsilon_of(0.7, 1)
    with pytest.raises(ValueError, match="row 1"):
        rr.estimate_mixture(np.array([[900, 3], [-1, 4]]), epsilons=np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="shape"):
        rr.estimate_mixture(np.array([[900, 3]]), epsilons=np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="shape"):
        rr.estimate(np.array([900]), epsilon=1.0)
    with pytest.raises(ValueError, match="confidence"):
        rr.estimate(np.array([900, 3]), epsilon=1.0, confidence=1.0)
    with pytest.raises(ValueError, match="share"):
        rr.standard_error(1.2, 10, epsilon=1.0, k=2)
    with pytest.raises(ValueError, match="one answer"):
        rr.standard_error(0.5, 0, epsilon=1.0, k=2)
    with pytest.raises(ValueError, match="half_width"):
        rr.answers_needed(0.0, epsilon=1.0, k=2)
    with pytest.raises(ValueError, match="confidence"):
        rr.answers_needed(0.1, epsilon=1.0, k=2, confidence=0.0)
    with pytest.raises(ValueError, match="finite"):
        rr.project_to_simplex(np.array([math.nan, 1.0]))


def test_a_huge_epsilon_does_not_overflow() -> None:
    said = rr.channel(2_000.0, 4)
    assert (said.keep, said.flip) == (1.0, 0.0)

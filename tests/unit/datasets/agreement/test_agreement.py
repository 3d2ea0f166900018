"""Agreement: published examples, scikit-learn as an oracle, properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import cohen_kappa_score

from datasets.agreement.cohen import Weighting, cohen_kappa
from datasets.agreement.fleiss import fleiss_kappa, fleiss_kappa_by_class
from datasets.agreement.interval import bootstrap, distinct
from datasets.agreement.krippendorff import krippendorff_alpha, krippendorff_alpha_by_class, nominal_alphas
from datasets.agreement.pairs import pair_agreement
from datasets.agreement.percent import percent_agreement
from datasets.consensus.evidence import evidence
from datasets.consensus.ratings import ratings_of

# Krippendorff 2011, section E: four observers, twelve units, 0 is missing.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)
KRIPPENDORFF = (OBSERVERS[:, :, None] == np.arange(1, 6)).sum(axis=0).astype(np.float64)
# Fleiss' kappa, the worked example with ten subjects, fourteen raters and five categories.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ],
    dtype=np.float64,
)  # fmt: skip
counts_of_items = hnp.arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(2, 4)), elements=st.integers(0, 4))


def test_krippendorffs_own_example() -> None:
    assert krippendorff_alpha(KRIPPENDORFF) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(KRIPPENDORFF, level="ordinal") == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(KRIPPENDORFF, level="interval") == pytest.approx(0.849, abs=5e-4)


def test_interval_values_may_be_given_and_scaled() -> None:
    values = np.array([1.0, 2, 3, 4, 5])
    assert krippendorff_alpha(KRIPPENDORFF, level="interval", values=10 * values) == pytest.approx(0.849, abs=5e-4)
    with pytest.raises(ValueError, match="5 finite numbers"):
        krippendorff_alpha(KRIPPENDORFF, level="interval", values=values[:4])


def test_fleiss_worked_example() -> None:
    assert fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=5e-4)
    assert percent_agreement(FLEISS) == pytest.approx(0.378, abs=5e-4)


@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
def test_cohen_equals_scikit_learn(weighting: Weighting) -> None:
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    second[:120] = first[:120]
    table = np.zeros((4, 4))
    np.add.at(table, (first, second), 1.0)
    oracle = cohen_kappa_score(first, second, weights=None if weighting == "none" else weighting)
    assert cohen_kappa(table, weighting=weighting) == pytest.approx(oracle, abs=1e-12)


def test_undefined_measures_are_nan() -> None:
    single = np.array([[1.0, 0.0], [0.0, 1.0]])
    unanimous = np.array([[3.0, 0.0], [3.0, 0.0]])
    assert math.isnan(percent_agreement(single))
    assert math.isnan(krippendorff_alpha(single))
    assert math.isnan(fleiss_kappa(unanimous))
    assert math.isnan(krippendorff_alpha(unanimous))
    assert math.isnan(cohen_kappa(np.zeros((2, 2))))


def test_two_classes_agree_alike() -> None:
    counts = np.array([[3.0, 1.0], [0.0, 4.0], [2.0, 2.0]])
    assert krippendorff_alpha_by_class(counts) == pytest.approx(np.full(2, krippendorff_alpha(counts)))
    assert fleiss_kappa_by_class(counts) == pytest.approx(np.full(2, fleiss_kappa(counts)))


@given(counts_of_items)
def test_measures_do_not_depend_on_the_order_of_items_or_classes_and_are_at_most_one(counts: np.ndarray) -> None:
    n = counts.astype(np.float64)
    for measure in (percent_agreement, fleiss_kappa, krippendorff_alpha):
        value = measure(n)
        assert math.isnan(value) or value <= 1 + 1e-12
        assert measure(n[::-1][:, ::-1]) == pytest.approx(value, nan_ok=True, abs=1e-9)


@given(counts_of_items)
def test_weights_of_two_count_like_items_that_are_there_twice(counts: np.ndarray) -> None:
    n = counts.astype(np.float64)
    for measure in (percent_agreement, fleiss_kappa, krippendorff_alpha):
        twice = measure(np.concatenate([n, n]), None)
        assert measure(n, np.full(len(n), 2.0)) == pytest.approx(twice, nan_ok=True, abs=1e-9)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(100):
        # Each answer is right with chance 0.8: two agree with chance 0.68 exactly.
        right = rng.binomial(3, 0.8, 80)
        found = bootstrap(percent_agreement, np.stack([right, 3.0 - right], axis=1), rng=rng, resamples=200)
        covered += found.low <= 0.68 <= found.high
    # 95 expected; three standard errors of a count of 100 below the slightly low coverage of the percentile method.
    assert covered >= 85


def test_distinct_rows_give_the_measure_and_the_interval_of_all_items() -> None:
    counts = np.random.default_rng(0).multinomial(3, [0.6, 0.3, 0.1], size=400).astype(np.float64)
    whole = bootstrap(krippendorff_alpha, counts, rng=np.random.default_rng(1), resamples=2_000)
    short = bootstrap(krippendorff_alpha, *distinct(counts), rng=np.random.default_rng(2), resamples=2_000)
    assert short.value == pytest.approx(whole.value)
    assert short.n == 400
    assert short.low == pytest.approx(whole.low, abs=5e-3)
    assert short.high == pytest.approx(whole.high, abs=5e-3)


def test_the_pairs_that_share_most_are_chosen() -> None:
    item, source = np.array([(i, s) for s, many in enumerate((30, 20, 10)) for i in range(many)]).T
    ratings = ratings_of(evidence(item, source, item % 2, n_items=30, n_sources=3, n_classes=2))
    assert [(pair.first, pair.second, pair.n) for pair in pair_agreement(ratings, most=1)] == [(0, 1, 20)]


def test_pairs_count_only_items_both_answered() -> None:
    said = evidence(
        [0, 1, 2, 3, 0, 1, 2, 0, 1], [0, 0, 0, 0, 1, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1, 1, 1, 1],
        n_items=4, n_sources=3, n_classes=2,
    )  # fmt: skip
    found = pair_agreement(ratings_of(said), least_shared=2)
    assert [(pair.first, pair.second, pair.n) for pair in found] == [(0, 1, 3), (0, 2, 2), (1, 2, 2)]
    assert found[0].percent == pytest.approx(2 / 3)
    assert found[0].kappa == pytest.approx(cohen_kappa_score([0, 1, 0], [0, 1, 1]))
    assert [pair.n for pair in pair_agreement(ratings_of(said), least_shared=3)] == [3]


def test_alphas_of_many_weightings_are_those_one_by_one() -> None:
    rng = np.random.default_rng(5)
    counts = rng.integers(0, 3, size=(40, 4)).astype(np.float64)
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=30).astype(np.float64)
    weights[0] = 0.0
    one_by_one = [krippendorff_alpha(counts, each) for each in weights]
    np.testing.assert_allclose(nominal_alphas(counts, weights), one_by_one, atol=1e-12)


def test_an_interval_is_the_same_with_all_resamples_at_once() -> None:
    rng = np.random.default_rng(6)
    counts = rng.multinomial(3, [0.7, 0.2, 0.1], size=60).astype(np.float64)
    slow = bootstrap(krippendorff_alpha, *distinct(counts), rng=np.random.default_rng(1))
    fast = bootstrap(krippendorff_alpha, *distinct(counts), rng=np.random.default_rng(1), of_many=nominal_alphas)
    assert (fast.low, fast.high, fast.n) == pytest.approx((slow.low, slow.high, slow.n))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_different_rows_are_those_of_numpy(scale: float) -> None:
    counts = scale * np.random.default_rng(7).integers(0, 300, size=(500, 2)).astype(np.float64) // 100
    rows, times = distinct(counts)
    expected, expected_times = np.unique(counts, axis=0, return_counts=True)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(times, expected_times)

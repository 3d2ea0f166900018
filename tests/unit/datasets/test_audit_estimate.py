"""The audit slice estimates the deployed model's accuracy without bias, although all other labels are actively chosen.

A small version, on handwritten digits, of what `python -m tests.bench.audit_coverage` measures on texts.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from datasets.estimation.wilson import proportion_interval
from tests.simulated_loop import Learn, Predict, Rows, Settings, run

REPETITIONS = 150


def _learn_digits(images: NDArray[np.float64], labels: NDArray[np.int64]) -> Learn:
    def learn(rows: Rows) -> Predict:
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(images[rows], labels[rows])
        return lambda asked: model.predict_proba(images[asked]).astype(np.float32)

    return learn


@pytest.fixture(scope="module")
def repetitions() -> NDArray[np.float64]:
    """One row a repetition: truth on independent rows, audit estimate, low, high, naive mean of the chosen."""
    images, labels = load_digits(return_X_y=True)
    labels = labels.astype(np.int64)
    learn = _learn_digits(images, labels)
    settings = Settings(start_per_class=3, budget=330, batch=75, epsilon=0.2)
    found = []
    for seed in range(REPETITIONS):
        rows = np.random.default_rng([seed, 0]).permutation(len(labels))
        pool, test = rows[:1000], rows[1000:]
        *_, last = run(labels, pool, learn, settings, seed=seed, rng=np.random.default_rng([seed, 1]))
        truth, audit = (last.predict(asked).argmax(axis=1) == labels[asked] for asked in (test, last.audit))
        estimate = proportion_interval(int(audit.sum()), len(audit))
        when_chosen = last.asked_as == labels[last.chosen]
        found.append([truth.mean(), audit.mean(), estimate.low, estimate.high, when_chosen.mean()])
    return np.array(found)


def _mean_and_standard_error(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def test_the_audit_slice_is_unbiased_for_the_accuracy_on_independent_rows(repetitions: NDArray[np.float64]) -> None:
    mean_error, standard_error = _mean_and_standard_error(repetitions[:, 1] - repetitions[:, 0])
    assert standard_error < 0.005
    assert abs(mean_error) < 3 * standard_error


def test_its_wilson_interval_covers_as_often_as_it_says(repetitions: NDArray[np.float64]) -> None:
    truth, low, high = repetitions[:, 0], repetitions[:, 2], repetitions[:, 3]
    coverage = float(((low <= truth) & (truth <= high)).mean())
    assert abs(coverage - 0.95) < 3 * np.sqrt(0.95 * 0.05 / REPETITIONS)


def test_the_naive_mean_over_actively_chosen_labels_is_far_off(repetitions: NDArray[np.float64]) -> None:
    mean_error, standard_error = _mean_and_standard_error(repetitions[:, 4] - repetitions[:, 0])
    assert mean_error < -0.1 - 3 * standard_error

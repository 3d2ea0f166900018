"""The same learner on chosen and on random labels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sampling.arm_comparison import compare

Arm = tuple[NDArray[np.float64], NDArray[np.int64]]


def nearest_mean(
    rows: NDArray[np.floating], classes: NDArray[np.int64], measured: NDArray[np.floating], seed: int
) -> NDArray[np.int64]:
    """Each row belongs to the class with the nearest mean."""
    names = np.unique(classes)
    means = np.stack([rows[classes == name].mean(axis=0) for name in names])
    said: NDArray[np.int64] = names[((measured[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)]
    return said


def heaps(n: int, rng: np.random.Generator, *, classes: int = 3) -> Arm:
    codes = rng.integers(0, classes, n)
    return np.eye(3, 6)[codes] * 2 + rng.normal(scale=0.9, size=(n, 6)), codes


def test_labels_of_the_same_kind_are_undecided_nearly_always() -> None:
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        verdicts.append(compare(heaps(120, rng), heaps(60, rng), nearest_mean, seed=seed).verdict)
    assert verdicts.count("undecided") >= 36


def test_labels_that_leave_out_a_class_are_found_to_be_worse() -> None:
    rng = np.random.default_rng(1)
    said = compare(heaps(120, rng, classes=2), heaps(80, rng), nearest_mean)
    assert said.verdict == "worse"
    assert said.difference is not None
    assert said.low is not None
    assert said.high is not None
    assert said.low < said.difference < said.high < 0
    assert (said.trained_on, said.evaluated_on) == (64, 80)


def test_labels_near_the_means_are_found_to_be_better() -> None:
    rng = np.random.default_rng(2)
    clean = (np.eye(3, 6)[np.arange(60) % 3] * 2, np.arange(60) % 3)
    rows, codes = heaps(400, rng)
    noisy = (rows + rng.normal(scale=2.5, size=rows.shape), codes)

    def few(
        rows: NDArray[np.floating], classes: NDArray[np.int64], measured: NDArray[np.floating], seed: int
    ) -> NDArray[np.int64]:
        return nearest_mean(rows[:9], classes[:9], measured, seed)

    assert compare(clean, noisy, few).verdict == "better"


def test_the_curve_has_both_arms_where_both_have_labels() -> None:
    rng = np.random.default_rng(3)
    said = compare(heaps(200, rng), heaps(50, rng), nearest_mean)
    sizes = {arm: [point.labels for point in said.curve if point.arm == arm] for arm in ("active", "random")}
    assert sizes == {"active": [10, 20, 40, 80, 160, 200], "random": [10, 20, 40]}
    for point in said.curve:
        low, high = point.interval
        assert 0 <= low <= point.accuracy <= high <= 1
    assert said.trained_on == 40


@pytest.mark.parametrize(("active", "random"), [(19, 100), (100, 29), (0, 0)])
def test_few_labels_are_too_few(active: int, random: int) -> None:
    rng = np.random.default_rng(0)
    said = compare(heaps(active, rng), heaps(random, rng), nearest_mean)
    assert (said.verdict, said.difference, said.curve) == ("too_few", None, ())
    assert f"{active} chosen and {random} random labels" in said.reason


def test_random_labels_of_one_class_measure_nothing() -> None:
    rng = np.random.default_rng(0)
    said = compare(heaps(50, rng), heaps(50, rng, classes=1), nearest_mean)
    assert (said.verdict, said.reason) == ("too_few", "All random labels are of one class.")


def test_the_seed_decides() -> None:
    rng = np.random.default_rng(4)
    active, random = heaps(60, rng), heaps(40, rng)
    assert compare(active, random, nearest_mean, seed=5) == compare(active, random, nearest_mean, seed=5)

"""Figures of a batch before it is drawn."""

import numpy as np

from sampling import preview_figures
from sampling.preview_figures import Share


def test_chances_are_counted_in_multiples_of_a_uniform_draw() -> None:
    # Of 1,000 items the first draw's uniform chance is 1/1000, the second's 1/999, ...
    propensity = np.array([0.00005, 1 / 999, 9 / 998, 50 / 997, 0.9, np.nan])
    assert preview_figures.chances(propensity, 1_000) == [1, 1, 1, 1, 1]
    uniform = 1 / (50 - np.arange(50))
    assert preview_figures.chances(uniform, 50) == [0, 50, 0, 0, 0]
    assert preview_figures.chances(np.empty(0), 0) == [0, 0, 0, 0, 0]


def test_near_duplicates_are_pairs_of_one_direction() -> None:
    vectors = np.array([[1, 0], [0, 1], [2, 0.001], [0, 0], [0, 0]], dtype=np.float16)
    assert preview_figures.near_duplicates(vectors) == [(0, 2)]
    assert preview_figures.near_duplicates(vectors[:0]) == []


def test_shares_name_what_only_one_side_has_and_put_the_rest_together() -> None:
    found = preview_figures.shares(["a", "a", "b", "c"], {"d": 3, "a": 1}, most=2)
    assert found == [Share("a", 0.5, 0.25), Share("b", 0.25, 0.0), Share("2 others", 0.25, 0.75)]
    assert preview_figures.shares([], {}) == []


def test_the_mean_of_a_histogram() -> None:
    assert preview_figures.mean_of_histogram(np.zeros(20, dtype=np.int64)) is None
    assert preview_figures.mean_of_histogram(np.array([1, 0, 0, 1])) == 0.5

"""The draw that hides suggestions: fixed, uniform, and nested in the share."""

import numpy as np
from scipy.stats import kstest

from labeling.suggestion_arm import draw_of, is_blind


def test_draws_are_uniform_over_tasks_and_over_annotators() -> None:
    of_tasks = np.array([draw_of(task, 7) for task in range(20_000)])
    of_annotators = np.array([draw_of(7, annotator) for annotator in range(20_000)])
    for draws in (of_tasks, of_annotators):
        assert kstest(draws, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(of_tasks, of_annotators)[0, 1]) < 0.03


def test_who_is_blind_at_a_share_is_blind_at_every_larger_one() -> None:
    for task in range(200):
        blind = [is_blind(task, 3, share) for share in (0.0, 0.1, 0.5, 1.0)]
        assert blind == sorted(blind)
        assert not blind[0]
        assert blind[-1]

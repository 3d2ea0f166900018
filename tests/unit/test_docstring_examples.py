"""The examples in the docstrings of pure modules are executed."""

import doctest
from types import ModuleType

import pytest

from datasets.estimation import wilson
from feedbackproject import simulation_report
from labeling import calibration, probability, schema, splitting
from sampling import selection
from sampling.strategies import entropy, least_confidence, margin, uniform
from training import evaluation, gates, retraining
from training.trainers import registry

MODULES = [
    probability,
    schema,
    splitting,
    wilson,
    selection,
    entropy,
    least_confidence,
    margin,
    uniform,
    gates,
    retraining,
    evaluation,
    calibration,
    registry,
    simulation_report,
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_give_what_they_show(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0

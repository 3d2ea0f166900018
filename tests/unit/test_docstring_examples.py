"""The examples in the docstrings of pure modules are executed."""

import doctest
from types import ModuleType

import pytest

from datasets.estimation import wilson
from feedbackproject import simulation_report
from labeling import ask_tokens, calibration, feedback_rows, probability, questions, respondent_hash, schema, splitting
from labeling.questions import locales, private
from sampling import objective, pacing, selection
from sampling.asking import draws, utility
from sampling.strategies import (
    bald,
    committee_blocks,
    consensus_entropy,
    entropy,
    expected_model_change,
    kl_disagreement,
    least_confidence,
    margin,
    multi_label_entropy,
    preference_probability,
    regression_variance,
    sequence_confidence,
    uniform,
    vote_entropy,
)
from sampling.strategies import registry as strategies
from training import evaluation, gates, retraining
from training.trainers import registry

MODULES = [
    probability,
    schema,
    splitting,
    questions,
    locales,
    private,
    ask_tokens,
    feedback_rows,
    respondent_hash,
    wilson,
    selection,
    pacing,
    objective,
    draws,
    utility,
    entropy,
    least_confidence,
    margin,
    uniform,
    vote_entropy,
    consensus_entropy,
    kl_disagreement,
    bald,
    committee_blocks,
    expected_model_change,
    preference_probability,
    multi_label_entropy,
    regression_variance,
    sequence_confidence,
    strategies,
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

"""The examples in the docstrings of pure modules are executed."""

import doctest
from types import ModuleType

import pytest

from datasets.agreement import cohen, fleiss, interval, krippendorff, pairs, percent
from datasets.consensus import (
    acceptance,
    adaptive_overlap,
    anchoring,
    bradley_terry,
    confusion,
    evidence,
    label_errors,
    label_model,
    merging,
    model_prior,
    overlap,
    pooled_channels,
    randomised_response,
    rating,
    ratings,
    reliability_curve,
    short_rows,
    text_choice,
    votes,
)
from datasets.consensus.source_quality import (
    gold_rate,
    invariability,
    near_duplicates,
    pace,
    reliability,
    repeats,
    suggestion,
    targeting,
    velocity,
)
from datasets.estimation import wilson
from feedbackproject import simulation_report
from labeling import calibration, probability, schema, splitting
from sampling import selection
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
    wilson,
    evidence,
    votes,
    label_model,
    model_prior,
    confusion,
    pooled_channels,
    randomised_response,
    short_rows,
    ratings,
    rating,
    bradley_terry,
    overlap,
    merging,
    text_choice,
    acceptance,
    adaptive_overlap,
    anchoring,
    label_errors,
    reliability_curve,
    reliability,
    gold_rate,
    invariability,
    pace,
    repeats,
    velocity,
    targeting,
    near_duplicates,
    suggestion,
    percent,
    cohen,
    fleiss,
    krippendorff,
    interval,
    pairs,
    selection,
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

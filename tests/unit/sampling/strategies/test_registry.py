"""Which strategies there are for which kind of project, and how they get what they need."""

import numpy as np
import pytest

from labeling.schema import KINDS
from sampling.pages.queue_policy import STRATEGY_NAMES
from sampling.strategies import margin, registry
from sampling.strategies.inputs import NEEDS, Inputs

COMMITTEE = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]], dtype=np.float32)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_default_of_every_kind_fits_it_and_needs_no_more_than_probabilities(kind: str) -> None:
    assert registry.default_for(kind) in registry.fitting(kind)


def test_what_needs_more_than_probabilities_is_offered_only_where_there_is_more() -> None:
    plain = ["entropy", "least_confidence", "margin", "uniform"]
    assert registry.fitting("single_choice") == plain
    assert registry.fitting("single_choice", {"probabilities", "embeddings"}) == sorted(
        [*plain, "expected_model_change"]
    )
    disagreement = ["bald", "consensus_entropy", "kl_disagreement", "vote_entropy"]
    assert registry.fitting("single_choice", set(NEEDS)) == sorted([*plain, "expected_model_change", *disagreement])


def test_some_strategies_are_for_one_kind_alone() -> None:
    assert "preference_probability" in registry.fitting("preference")
    assert "preference_probability" not in registry.fitting("single_choice")
    assert "multi_label_entropy" in registry.fitting("multi_label")
    assert registry.fitting("spans", set(NEEDS)) == ["confidence", "uniform"]


def test_a_strategy_that_does_not_fit_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="'margin' does not fit a spans label schema; these do: confidence, uniform"):
        registry.find("margin", "spans")
    with pytest.raises(ValueError, match="'rating_variance' does not fit a single_choice"):
        registry.find("rating_variance")
    with pytest.raises(ValueError, match="'bald' does not fit a boxes"):
        registry.scorer("bald", "boxes")


def test_an_unknown_strategy_is_refused_with_the_known_names() -> None:
    for look_up in (registry.find, registry.scorer):
        with pytest.raises(ValueError, match="unknown strategy 'tarot'; known: bald, confidence, consensus_entropy"):
            look_up("tarot")


def test_a_strategy_on_probabilities_cannot_be_one_that_needs_more() -> None:
    with pytest.raises(ValueError, match="'bald' needs committee; these do not: entropy, least_confidence, margin"):
        registry.find("bald")
    with pytest.raises(ValueError, match="'expected_model_change' needs embeddings; these do not: entropy"):
        registry.find("expected_model_change")


def test_where_only_a_committee_is_given_its_mean_stands_for_the_probabilities() -> None:
    mean = np.array([[0.75, 0.25], [0.5, 0.5]], dtype=np.float32)
    expected = margin.informativeness(mean)
    np.testing.assert_array_equal(registry.scorer("margin")(Inputs(committee=COMMITTEE)), expected)
    np.testing.assert_array_equal(registry.scorer("margin")(Inputs(mean)), expected)


def test_given_probabilities_go_before_the_mean_of_a_committee() -> None:
    certain = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert registry.scorer("margin")(Inputs(certain, committee=COMMITTEE)).tolist() == [0.0, 0.0]


def test_a_member_that_says_no_probability_is_not_hidden_by_the_mean() -> None:
    committee = np.array([[[1.5, 0.0], [0.5, 0.0]]], dtype=np.float32)
    with pytest.raises(ValueError, match=r"^row 0: member 0: a probability is above 1"):
        registry.scorer("margin")(Inputs(committee=committee))
    with pytest.raises(ValueError, match=r"^row 0: member 0: a probability is above 1"):
        registry.scorer("multi_label_margin", "multi_label")(Inputs(committee=committee))


def test_a_score_says_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="needs committee"):
        registry.scorer("bald")(Inputs(COMMITTEE[:, 0]))
    with pytest.raises(ValueError, match="needs embeddings"):
        registry.scorer("expected_model_change")(Inputs(COMMITTEE[:, 0]))
    with pytest.raises(ValueError, match="needs probabilities"):
        registry.scorer("margin")(Inputs(embeddings=np.zeros((2, 3), dtype=np.float32)))


def test_inputs_hold_one_row_per_item() -> None:
    assert len(Inputs(committee=COMMITTEE)) == 2
    with pytest.raises(ValueError, match="one row in each array, not 1 of probabilities, 2 of committee"):
        Inputs(COMMITTEE[:1, 0], committee=COMMITTEE)
    with pytest.raises(ValueError, match="must be given"):
        Inputs()


def test_every_strategy_has_a_name_for_people() -> None:
    assert set(STRATEGY_NAMES) == set(registry.STRATEGIES)

"""Selection by the product's own code, and at random."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sampling import hand_over, surrogate
from sampling.batch_rules.candidates import Candidates, Parameters
from sampling.batch_rules.registry import RULES, find
from sampling.models import QueuePolicy
from sampling.strategies import registry
from sampling.strategies.inputs import NEEDS, Inputs
from tests.bench.label_curves.state import Arm, State


def _ours(rule: str, *, score: str = "margin") -> Arm:
    """One of the product's batch rules over one of its scores, as a refill without audit share calls it."""
    found, policy = find(rule), QueuePolicy()
    parameters = Parameters(beta=policy.beta, shortlist_factor=policy.shortlist_factor)

    def choose(state: State) -> NDArray[np.int64]:
        rows = state.unlabelled
        candidates = Candidates(
            rows,
            informativeness=None if found.is_cold_start else _informativeness(score, state, rows),
            embeddings=state.geometry[rows],
            predictions=state.probabilities[rows],
            labelled=state.geometry[state.labelled],
        )
        return rows[found.choose(candidates, size=state.size, seed=state.seed, parameters=parameters).index]

    return choose


def _informativeness(score: str, state: State, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """By the evaluated model's probabilities; scores that need a committee get the surrogate's, over the geometry."""
    scored = registry.scorer(score)
    if "committee" not in registry.STRATEGIES[score].needs:
        return scored(Inputs(probabilities=state.probabilities[rows], embeddings=state.geometry[rows]))
    seen = np.unique(state.labels)
    if len(seen) < 2:
        # As in the product: without two classes there is no surrogate, and all items are alike.
        return np.ones(len(rows), dtype=np.float32)
    fitted = surrogate.fit(
        state.geometry[state.labelled],
        [str(label) for label in state.labels],
        classes=[str(label) for label in seen],
        seed=state.seed % 2**31,
    )
    said = np.zeros((len(rows), fitted.size, state.classes), dtype=np.float32)
    said[:, :, seen] = fitted.probabilities(state.geometry[rows])
    return scored(Inputs(committee=said))


def _after_cold_start(arm: Arm, cold: Arm, labels_per_class: int) -> Arm:
    def choose(state: State) -> NDArray[np.int64]:
        counts = {
            str(label): int(count) for label, count in zip(*np.unique(state.labels, return_counts=True), strict=True)
        }
        said = hand_over.decide(counts, classes=state.classes, labels_per_class=labels_per_class, has_scores=True)
        return (arm if said.is_done else cold)(state)

    return choose


def default_policy(hand_over_labels_per_class: int | None = None) -> Arm:
    """What a project has whose policy nobody touched, but for the labels a class at which cold start ends."""
    policy = QueuePolicy()
    wanted = policy.hand_over_labels_per_class if hand_over_labels_per_class is None else hand_over_labels_per_class
    return _after_cold_start(_ours(policy.batch_rule, score=policy.strategy), _ours(policy.cold_start), wanted)


def _random(state: State) -> NDArray[np.int64]:
    return np.random.default_rng(state.seed).choice(state.unlabelled, state.size, replace=False)


_NAMED: Final[Mapping[str, tuple[str, str]]] = {
    "stochastic margin": ("stochastic", "margin"),
    "margin, top k": ("top_k", "margin"),
    "margin, cluster quotas": ("cluster_quotas", "margin"),
    "margin, stochastic clusters": ("stochastic_clusters", "margin"),
    "BADGE": ("badge", "margin"),
    "entropy, stochastic": ("stochastic", "entropy"),
    "typicality": ("typicality", "margin"),
    "margin, softmax": ("softmax", "margin"),
    "margin, k-center": ("k_center", "margin"),
    "margin, k-means++": ("k_means_plus_plus", "margin"),
    "margin, facility location": ("facility_location", "margin"),
    "least confidence, stochastic": ("stochastic", "least_confidence"),
    "expected model change, stochastic": ("stochastic", "expected_model_change"),
    "vote entropy, stochastic": ("stochastic", "vote_entropy"),
    "consensus entropy, stochastic": ("stochastic", "consensus_entropy"),
    "KL disagreement, stochastic": ("stochastic", "kl_disagreement"),
    "BALD, stochastic": ("stochastic", "bald"),
    "k-center, cold": ("k_center_cold", "margin"),
    "probability coverage": ("probability_coverage", "margin"),
}


def _made_of() -> dict[str, tuple[str, str]]:
    """Every rule but the uniform one, and every score of one class of several but it; new ones get their registry name."""
    rules = {rule for rule, _ in _NAMED.values()} | {"uniform"}
    scores = {score for _, score in _NAMED.values()} | {"uniform"}
    of_classes = [
        name
        for name in registry.fitting("single_choice", frozenset(NEEDS))
        if not registry.STRATEGIES[name].kinds and name not in scores
    ]
    return {
        **_NAMED,
        **{f"margin, {rule}": (rule, "margin") for rule in RULES if rule not in rules},
        **{f"{score}, stochastic": ("stochastic", score) for score in of_classes},
    }


MADE_OF: Final[Mapping[str, tuple[str, str]]] = _made_of()
"""Batch rule and score by arm. Cold rules read no score."""
ARMS: Final[Mapping[str, Arm]] = {
    "random": _random,
    "default policy": default_policy(),
    **{name: _ours(rule, score=score) for name, (rule, score) in MADE_OF.items()},
}

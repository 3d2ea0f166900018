"""Examine all sources with every detector the evidence allows, and set the worst aside before judging the others again."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus import label_model
from datasets.consensus.evidence import Evidence
from datasets.consensus.source_quality.agreement_test import agreement_test
from datasets.consensus.source_quality.copying import copying
from datasets.consensus.source_quality.gold_rate import GoldTest
from datasets.consensus.source_quality.invariability import answers_by_class, expected_answers, invariability
from datasets.consensus.source_quality.pace import pace, too_fast_below
from datasets.consensus.source_quality.reliability import gold_record
from datasets.consensus.source_quality.repeats import repeats
from datasets.consensus.source_quality.suggestion import (
    LARGEST_NATS,
    Family,
    Findings,
    Step,
    Suggestion,
    bar_nats,
    nats_of,
    suggest,
)
from datasets.consensus.source_quality.velocity import bursts

ROUNDS: Final = 2
MOST_EXONERATING_NATS: Final = 5.0
LARGEST_DISAGREEING_SHARE: Final = 0.3
"""If agreement speaks against more of the answers than this, it is the belief that is in doubt: then it sets nobody aside."""


@dataclass(frozen=True, eq=False)
class Examination:
    """The findings, what is suggested of each source, and the beliefs without those set aside.

    weights
        Shape (n,), of the evidence: its own, or 0 where the source is set aside.
    suspicion
        Shape (n_sources,), nats: the findings of all families together, less up to 5 for agreement that speaks for honest work. Puts the sources
        in order; what is done about them goes by single findings, whose strength is known.
    """

    findings: Findings
    suggestions: list[Suggestion]
    beliefs: label_model.Beliefs
    weights: NDArray[np.float64]
    suspicion: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timing:
    """When each piece of evidence was given, and how long it took; seconds, shape (n,); NaN where not known."""

    given_at: NDArray[np.float64]
    taken: NDArray[np.float64]


def examine(
    evidence: Evidence,
    *,
    timing: Timing | None = None,
    rounds: int = ROUNDS,
    settings: label_model.Settings | None = None,
) -> Examination:
    """Judge every source, set aside the suspicious, and judge again by the rest.

    Dishonest sources spoil what honest ones are judged by, so judging is repeated: in each round all sources are judged, also
    those set aside before, by the evidence of those that were not. A source may come back.

    Costs one fit and one pass of each detector a round.
    """
    answers = answers_by_class(evidence)
    unseen = _seen_once(evidence, answers, timing)
    findings = Findings(evidence.n_sources, dict(unseen))
    suggestions = suggest(findings)
    is_out = set_aside(suggestions)
    # A group may be large enough to be believed: what is seen without a belief must not spoil the first one.
    weights = evidence.weight * (~is_out[evidence.source])
    leaning = np.zeros(evidence.n_sources)
    beliefs = label_model.fit(evidence.reweighted(weights), settings=settings)
    for _ in range(rounds):
        trusted = evidence.reweighted(weights)
        test = agreement_test(trusted, beliefs.parameters)
        agreement = np.clip(np.maximum(test.dishonesty, test.standing_nats), 0.0, LARGEST_NATS)
        leaning = np.clip(test.likeliest, -MOST_EXONERATING_NATS, 0.0)
        bar = bar_nats(evidence.n_sources, len(unseen) + 1)
        against = test.answers[(agreement >= bar) & ~is_out].sum()
        if against > LARGEST_DISAGREEING_SHARE * test.answers.sum():
            agreement *= 0.99 * bar / agreement.max()
        # Sameness must surprise beside all that was said and beside what is trusted: spam shifts what is to be expected of everybody.
        sameness = np.minimum(unseen["invariability"], _sameness(trusted, answers))
        findings = Findings(evidence.n_sources, {**unseen, "invariability": sameness, "agreement": agreement})
        suggestions = suggest(findings)
        # All or nothing: what a doubtful source is worth is in its matrix already, and counting it down again only flattens the posterior.
        by_source = (~set_aside(suggestions)).astype(np.float64)
        weights = evidence.weight * by_source[evidence.source]
        beliefs = label_model.fit(evidence.reweighted(weights), settings=settings)
    suspicion = leaning + np.sum(list(findings.nats.values()), axis=0)
    return Examination(findings, suggestions, beliefs, weights, suspicion)


def set_aside(suggestions: list[Suggestion]) -> NDArray[np.bool_]:
    """Which sources are quarantined or worse; shape (n_sources,)."""
    return np.array([each.step >= Step.QUARANTINE for each in suggestions], dtype=bool)


def _sameness(trusted: Evidence, answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nats against each source for its `answers`, shape (n_sources, K), by what trusted others say of its items."""
    return nats_of(invariability(answers, expected_answers(trusted)).p_value)


def _seen_once(
    evidence: Evidence, answers: NDArray[np.float64], timing: Timing | None
) -> dict[Family, NDArray[np.float64]]:
    """What does not depend on the beliefs."""
    size = evidence.n_sources
    together = copying(evidence).nats
    # A group that copies would pass for what most others say.
    is_independent = together < bar_nats(size, 1)
    independent = evidence.reweighted(evidence.weight * is_independent[evidence.source])
    found: dict[Family, NDArray[np.float64]] = {
        "invariability": _sameness(independent, answers),
        "contradiction": nats_of(repeats(evidence).p_value),
        "collusion": together,
    }
    hits, misses = gold_record(evidence)
    if (hits + misses).any():
        tests = (GoldTest(other=1.0 / evidence.n_classes), GoldTest(other=0.5 / evidence.n_classes))
        ratio = np.max([hits * test.log_ratio(1, 0) + misses * test.log_ratio(0, 1) for test in tests], axis=0)
        found["gold"] = np.clip(ratio, 0.0, LARGEST_NATS)
    if timing is not None:
        found["speed"] = _speed(evidence, timing)
    return found


def _speed(evidence: Evidence, timing: Timing) -> NDArray[np.float64]:
    size, nats = evidence.n_sources, np.zeros(evidence.n_sources)
    known = np.isfinite(timing.taken)
    if known.any():
        least = too_fast_below(timing.taken[known])
        fast = pace(evidence.source[known], timing.taken[known], n_sources=size, least_seconds=least)
        nats = np.maximum(nats, nats_of(fast.p_value))
    known = np.isfinite(timing.given_at)
    if known.any():
        nats = np.maximum(nats, nats_of(bursts(evidence.source[known], timing.given_at[known], n_sources=size).p_value))
    return nats

"""What the detectors found about a source, in words with figures, for whoever has to decide about it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.evidence import Evidence
from datasets.consensus.source_quality.agreement_test import LARGEST_KAPPA, AgreementTest, agreement_test
from datasets.consensus.source_quality.copying import Copying, copying
from datasets.consensus.source_quality.examination import Examination, Timing
from datasets.consensus.source_quality.invariability import answers_by_class, expected_answers
from datasets.consensus.source_quality.pace import Pace, pace, too_fast_below
from datasets.consensus.source_quality.reliability import gold_record
from datasets.consensus.source_quality.repeats import Repeats, repeats
from datasets.consensus.source_quality.suggestion import Family
from datasets.consensus.source_quality.velocity import WINDOW_SECONDS, Bursts, bursts

_STRENGTHS: Final = ((20.0, "practically certain"), (10.0, "very strong"), (6.0, "strong"), (3.0, "noticeable"))
LEAST_OPPOSING_KAPPA: Final = 0.05
"""Kappa of who never agrees is -1 between two classes, about -0.1 among ten. Nearer to 0 it is no opposite."""


def strength(nats: float) -> str:
    """How strong a finding of so many nats is, in words; weaker than e^-3 by chance: a hint.

    >>> strength(25.0), strength(10.4), strength(1.0)
    ('practically certain', 'very strong', 'a hint')
    """
    return next((word for least, word in _STRENGTHS if nats >= least), "a hint")


class Wording:
    """Describes findings. Each detector runs once more, and only if there is something to say of it.

    Parameters
    ----------
    class_titles
        Of the K classes, in the order of the evidence.
    name_of
        What a source is called, by its position.
    """

    def __init__(
        self,
        evidence: Evidence,
        examination: Examination,
        timing: Timing,
        *,
        class_titles: Sequence[str],
        name_of: Callable[[int], str],
    ) -> None:
        self.evidence, self.examination, self.timing = evidence, examination, timing
        self.class_titles, self.name_of = class_titles, name_of
        self._words: dict[Family, Callable[[int], str]] = {
            "agreement": self._of_agreement,
            "gold": self._of_gold,
            "invariability": self._of_invariability,
            "speed": self._of_speed,
            "collusion": self._of_collusion,
            "contradiction": self._of_contradiction,
        }

    def text(self, family: Family, source: int) -> str:
        return self._words[family](source)

    @cached_property
    def _agreement(self) -> AgreementTest:
        trusted = self.evidence.reweighted(self.examination.weights)
        return agreement_test(trusted, self.examination.beliefs.parameters)

    def _of_agreement(self, source: int) -> str:
        test = self._agreement
        typical = float(np.nanmedian(test.kappa))
        if test.opposing[source] > test.guessing[source] and test.kappa[source] < -LEAST_OPPOSING_KAPPA:
            manner = "says the opposite of"
        elif test.kappa[source] < LARGEST_KAPPA:
            manner = "agrees no more than chance would with"
        else:
            manner = "agrees less than others do with"
        return (
            f"In {test.answers[source]:.0f} answers {manner} what all others say of the same items: kappa "
            f"{test.kappa[source]:.2f}, usual here is {typical:.2f}."
        )

    def _of_gold(self, source: int) -> str:
        hits, misses = gold_record(self.evidence)
        return f"Right on {hits[source]:.0f} of {hits[source] + misses[source]:.0f} items whose answer is known."

    @cached_property
    def _answers(self) -> NDArray[np.float64]:
        return answers_by_class(self.evidence)

    @cached_property
    def _expected(self) -> NDArray[np.float64]:
        return expected_answers(self.evidence.reweighted(self.examination.weights))

    def _of_invariability(self, source: int) -> str:
        counts = self._answers[source]
        favourite, n = int(counts.argmax()), counts.sum()
        return (
            f"Said “{self.class_titles[favourite]}” {counts[favourite]:.0f} times in {n:.0f} answers; by what others say of the "
            f"same items about {n * self._expected[source, favourite]:.0f} were to be expected."
        )

    @cached_property
    def _pace(self) -> tuple[Pace, float]:
        known = np.isfinite(self.timing.taken)
        least = too_fast_below(self.timing.taken[known])
        source, taken = self.evidence.source[known], self.timing.taken[known]
        return pace(source, taken, n_sources=self.evidence.n_sources, least_seconds=least), least

    @cached_property
    def _bursts(self) -> Bursts:
        known = np.isfinite(self.timing.given_at)
        return bursts(self.evidence.source[known], self.timing.given_at[known], n_sources=self.evidence.n_sources)

    def _of_speed(self, source: int) -> str:
        found, least = self._pace
        busiest = self._bursts.busiest
        if found.p_value[source] <= self._bursts.p_value[source]:
            share, n = found.share_too_fast[source], found.n[source]
            return f"{share:.0%} of {n} answers took less than {least:.1f} seconds, too short to read the item."
        usual = float(np.median(busiest[busiest > 0]))
        return (
            f"{busiest[source]} answers within {WINDOW_SECONDS / 60:.0f} minutes; usual here are {usual:.0f} at most."
        )

    @cached_property
    def _copying(self) -> Copying:
        return copying(self.evidence)

    def _of_collusion(self, source: int) -> str:
        twins = self._copying.twins[source]
        more = f", and does so with {twins.count - 1} more" if twins.count > 1 else ""
        return (
            f"Gave the same answer as {self.name_of(twins.closest)} to {twins.same} of {twins.shared} items both had{more}. "
            f"Two people as good as all others say they are would agree on {twins.at_most:.0%} at most."
        )

    @cached_property
    def _repeats(self) -> Repeats:
        return repeats(self.evidence)

    def _of_contradiction(self, source: int) -> str:
        found = self._repeats
        return f"Was asked again about {found.repeated[source]} items and then said something else {found.contradicted[source]} times."

"""Does a source answer by looking at the items? A Bayes factor between honest work, guessing and saying the opposite."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from datasets.consensus.adaptive_overlap import typical_confusion
from datasets.consensus.evidence import Evidence, Kind
from datasets.consensus.layout import layout_of
from datasets.consensus.parameters import Parameters

HONEST_STRENGTH: Final = 5.0
"""Imagined answers a row of an honest matrix is worth: what the label model begins with, too."""


@dataclass(frozen=True, eq=False)
class AgreementTest:
    """One row per source; log Bayes factors in nats, higher = less like honest work. 0 without annotations.

    guessing
        Answers that do not depend on the truth (random, or always the same) against honest ones.
    opposing
        Answers that avoid the truth against honest ones.
    answers
        How many answers were judged.
    """

    guessing: NDArray[np.float64]
    opposing: NDArray[np.float64]
    answers: NDArray[np.float64]

    @property
    def dishonesty(self) -> NDArray[np.float64]:
        """The larger of the two."""
        return np.maximum(self.guessing, self.opposing)


def agreement_test(evidence: Evidence, parameters: Parameters) -> AgreementTest:
    """Weigh what each annotator said, given what all others' evidence says of the items, under three stories.

    With n_kl the expected number of times the source said l of items of class k (by posteriors without its own answer), and DM the Dirichlet
    multinomial likelihood,

        honest     prod_k DM(n_k., 5 T_k.)           T: typical matrix of the crowd
        guessing   DM(sum_k n_k., 5 m)               m: how often each class is named by all; one habit for all classes
        opposing   prod_k DM(n_k., 5 O_k.)           O: the typical matrix with the diagonal and the rest swapped in mass

    Habits may differ in all three, so a biased but attentive annotator counts as honest: their answers still depend on the item.
    A source with few answers stays near 0. If most of the crowd is dishonest in the same way, it looks honest here; that is what
    gold and the other detectors are for. O(n K).

    References
    ----------
    Kass, Raftery: Bayes Factors. JASA 1995.
    """
    classes = evidence.n_classes
    counts = counts_without_own(evidence, parameters)
    typical = typical_confusion(parameters, evidence)
    diagonal = np.diag(typical)
    # At least chance: in a crowd that is mostly wrong, "typical" must not mean opposing.
    right = np.maximum(diagonal, 1.0 / classes + 0.05)
    honest = _with_diagonal(typical, right)
    opposing = _with_diagonal(typical, (1.0 - right) / (classes - 1))
    named = counts.sum(axis=(0, 1)) + 1.0
    honest_nats = _dirichlet_multinomial(counts, HONEST_STRENGTH * honest).sum(axis=1)
    opposing_nats = _dirichlet_multinomial(counts, HONEST_STRENGTH * opposing).sum(axis=1)
    habit = _dirichlet_multinomial(counts.sum(axis=1), HONEST_STRENGTH * named / named.sum())
    return AgreementTest(habit - honest_nats, opposing_nats - honest_nats, counts.sum(axis=(1, 2)))


def counts_without_own(evidence: Evidence, parameters: Parameters) -> NDArray[np.float64]:
    """Expected counts [source, true class, stated] of plain annotations, each judged without itself; (n_sources, K, K).

    Answers nobody else says anything about are left out: the class prior alone judges nobody.
    """
    classes = evidence.n_classes
    layout = layout_of(evidence)
    table = parameters.log_likelihood(layout)
    belief = layout.matrix(evidence) @ table + np.log(parameters.class_prior)
    gold = evidence.rows(evidence.kind == Kind.GOLD)
    belief[gold.item] = -1e9
    belief[gold.item, gold.answer] = 0.0
    heard = np.bincount(evidence.item, minlength=evidence.n_items)
    judged = (evidence.kind == Kind.ANNOTATION) & np.isnan(evidence.epsilon) & (heard[evidence.item] > 1)
    rows = evidence.rows(judged)
    without = belief[rows.item] - rows.weight[:, None] * table[layout.row_of[judged]]
    without -= without.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(without, out=without)
    without /= without.sum(axis=1, keepdims=True)
    size = evidence.n_sources * classes
    cells = rows.source * classes + rows.answer
    counts = np.stack([np.bincount(cells, weights=without[:, k], minlength=size) for k in range(classes)], axis=1)
    return counts.reshape(evidence.n_sources, classes, classes).transpose(0, 2, 1)


def _with_diagonal(matrix: NDArray[np.float64], diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same shape of errors with another chance of being right."""
    classes = len(matrix)
    wrong = matrix * (1.0 - np.eye(classes))
    wrong /= wrong.sum(axis=1, keepdims=True)
    return wrong * (1.0 - diagonal)[:, None] + np.diag(diagonal)


def _dirichlet_multinomial(counts: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-likelihood of the counts of the last axis, without the multinomial coefficient, which is the same in every story."""
    total = counts.sum(axis=-1)
    strength = parameters.sum(axis=-1)
    nats: NDArray[np.float64] = (gammaln(counts + parameters) - gammaln(parameters)).sum(axis=-1)
    return nats + gammaln(strength) - gammaln(strength + total)

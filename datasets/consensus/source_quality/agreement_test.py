"""Does a source answer by looking at the items? A Bayes factor between honest work, guessing and saying the opposite."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, log_ndtr

from datasets.consensus.adaptive_overlap import typical_confusion
from datasets.consensus.evidence import Evidence
from datasets.consensus.parameters import Parameters
from datasets.consensus.without_own import counts_without_own

STRENGTHS: Final = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
HABIT_STRENGTH: Final = 5.0
PRIOR_HONEST: Final = 0.95


LARGEST_KAPPA: Final = 0.1
"""Who agrees with the evidence of others more than this beyond chance looks at the items, whatever their matrix is like."""


@dataclass(frozen=True, eq=False)
class AgreementTest:
    """One row per source; log Bayes factors in nats, higher = less like honest work. 0 without annotations.

    guessing
        Answers that do not depend on the truth (random, or always the same) against honest ones.
    opposing
        Answers that avoid the truth against honest ones.
    kappa
        At most 1: agreement with the evidence of all others beyond chance (expected Cohen's kappa); NaN without annotations.
    standing_nats
        >= 0: minus the log of the chance that an honest source of this crowd has so low a kappa.
    answers
        How many answers were judged.
    """

    guessing: NDArray[np.float64]
    opposing: NDArray[np.float64]
    kappa: NDArray[np.float64]
    standing_nats: NDArray[np.float64]
    answers: NDArray[np.float64]

    @property
    def likeliest(self) -> NDArray[np.float64]:
        """Log Bayes factor of the likelier dishonest story."""
        factor: NDArray[np.float64] = np.maximum(self.guessing, np.where(self.kappa < 0, self.opposing, -np.inf))
        return factor

    @property
    def dishonesty(self) -> NDArray[np.float64]:
        """The log odds of the likelier dishonest story, one in twenty being dishonest; 0 for who agrees beyond chance (kappa above 0.1)."""
        return np.where(
            self.kappa < LARGEST_KAPPA,
            np.maximum(self.likeliest - np.log(PRIOR_HONEST / (1.0 - PRIOR_HONEST)), 0.0),
            0.0,
        )


def agreement_test(trusted: Evidence, parameters: Parameters, *, everybody: bool = True) -> AgreementTest:
    """Weigh what each annotator said, given what all others' evidence says of the items, under three stories.

    With n_kl the expected number of times the source said l of items of class k (by posteriors without its own answer), and DM the Dirichlet
    multinomial likelihood,

        honest     prod_k DM(n_k., s T_k.)           T: typical matrix of the crowd
        guessing   DM(sum_k n_k., 5 m)               m: how often each class is named by all; one habit for all classes
        opposing   prod_k DM(n_k., s O_k.)           O: the typical matrix with the diagonal and the rest swapped in mass

    s says how much honest people of this crowd resemble each other. Of 2, 5, .. 100 the one is taken under which the crowd, as a mixture of
    95% honest and 5% others, is likeliest: a crowd of very different people is judged more leniently. Habits may differ in all three, so a biased but attentive annotator counts as honest: their answers still depend on the item.
    Beside the stories stands the plain measure: kappa with the evidence of the others, and how far it is below the crowd's. A source with few answers stays near 0. If most of the crowd is dishonest in the same way, it looks honest here; that is what
    gold and the other detectors are for. O(n K).

    Parameters
    ----------
    trusted
        The evidence by which items are believed to be what they are, with its weights.
    everybody
        Whether rows of weight 0, which do not move any belief, are still judged by it. So who was set aside may come back.

    References
    ----------
    Kass, Raftery: Bayes Factors. JASA 1995.
    """
    classes = trusted.n_classes
    counts = counts_without_own(trusted, parameters, everything=everybody)
    typical = typical_confusion(parameters, trusted)
    diagonal = np.diag(typical)
    # At least chance: in a crowd that is mostly wrong, "typical" must not mean opposing.
    right = np.maximum(diagonal, 1.0 / classes + 0.05)
    honest = _with_diagonal(typical, right)
    opposing = _with_diagonal(typical, (1.0 - right) / (classes - 1))
    named = counts.sum(axis=(0, 1)) + 1.0
    habit = _dirichlet_multinomial(counts.sum(axis=1), HABIT_STRENGTH * named / named.sum())
    guessing, opposed, best = habit, habit, -np.inf
    for strength in STRENGTHS:
        honest_nats = _dirichlet_multinomial(counts, strength * honest).sum(axis=1)
        opposing_nats = _dirichlet_multinomial(counts, strength * opposing).sum(axis=1)
        others = np.logaddexp(habit, opposing_nats) + np.log((1.0 - PRIOR_HONEST) / 2.0)
        crowd = float(np.logaddexp(honest_nats + np.log(PRIOR_HONEST), others).sum())
        if crowd > best:
            best, guessing, opposed = crowd, habit - honest_nats, opposing_nats - honest_nats
    kappa, error = _kappa(counts)
    return AgreementTest(guessing, opposed, kappa, _standing(kappa, error), counts.sum(axis=(1, 2)))


def _kappa(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cohen's kappa of each source with the rest, and its standard error; one imagined answer that agrees by chance keeps both finite."""
    n = counts.sum(axis=(1, 2))
    safe = np.maximum(n, 1e-12)
    chance = np.einsum("wk,wk->w", counts.sum(axis=2), counts.sum(axis=1)) / safe**2
    chance = np.clip(chance, 0.0, 0.95)
    agreed = (np.trace(counts, axis1=1, axis2=2) + chance) / (n + 1.0)
    kappa = (agreed - chance) / (1.0 - chance)
    error = np.sqrt((agreed * (1.0 - agreed) * n + 0.25) / (n + 1.0) ** 2) / (1.0 - chance)
    return np.where(n > 0, kappa, np.nan), error


def _standing(kappa: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far below the crowd a source stands. The crowd's spread comes from its better half: the worse one may be spam."""
    known = ~np.isnan(kappa)
    if known.sum() < 4:
        return np.zeros(len(kappa))
    middle, high = np.quantile(kappa[known], [0.5, 0.75])
    between = max(0.0, ((high - middle) / 0.6745) ** 2 - float(np.median(error[known] ** 2)))
    z = np.where(known, (kappa - middle) / np.sqrt(error**2 + between), 0.0)
    nats: NDArray[np.float64] = -log_ndtr(z)
    return np.where(known, nats, 0.0)


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
    each = (gammaln(counts + parameters) - gammaln(parameters)).sum(axis=-1)
    nats: NDArray[np.float64] = each + gammaln(strength) - gammaln(strength + total)
    return nats

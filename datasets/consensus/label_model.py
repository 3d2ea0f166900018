"""The label model: one posterior over the true class of each item, from all its evidence at once.

Intuition. Nobody knows the truth, but who agrees with the others where many answered is probably good, and what a good one says
where few answered is probably true. Each piece of evidence is a likelihood over the true class: an annotator's through their
confusion matrix, a correction's through its channel's, a thumb's through the rates at which right and wrong predictions are
praised, a randomised answer's through a known channel as well. Expectation maximisation goes back and forth:

    E   log q_ik = log pi_k + sum over the evidence e of item i of  weight_e log P(e | k)  - normaliser
    M   pi, the matrices and the rates are the Dirichlet means given the counts that q expects

(Dawid and Skene 1979 with Dirichlet priors). Gold is clamped: its q is the gold answer.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from datasets.consensus.confusion import ConfusionPrior, deviation_of, mean_of
from datasets.consensus.evidence import Evidence, Kind
from datasets.consensus.identifiability import BeliefWarning, warnings_after, warnings_before
from datasets.consensus.layout import layout_of
from datasets.consensus.model_prior import ModelPrior
from datasets.consensus.parameters import REVIEW_ACCURACY, Parameters, maximise
from datasets.consensus.short_rows import row_maxima, row_sums
from datasets.consensus.votes import majority, shares

MOST_ROUNDS: Final = 50
TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class Settings:
    """How EM runs.

    tolerance
        It stops when a round moves the posteriors by less than this, as the mean over the items of their total variation.
        0 runs all rounds.
    most_rounds
        >= 1. Reaching it is a warning, not an error.
    review_accuracy
        In (0, 1): what a reviewer's statement is worth, see `Kind.REVIEW`.
    """

    prior: ConfusionPrior = field(default_factory=ConfusionPrior)
    tolerance: float = TOLERANCE
    most_rounds: int = MOST_ROUNDS
    review_accuracy: float = REVIEW_ACCURACY

    def __post_init__(self) -> None:
        if self.most_rounds < 1 or self.tolerance < 0:
            raise ValueError("at least one round, and a tolerance that is not negative")
        if not 0.0 < self.review_accuracy < 1.0:
            raise ValueError("the accuracy of reviewers lies between 0 and 1")


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What the label model believes of the items and of the sources.

    posterior
        Shape (n_items, K), float32, rows sum to 1. The class prior for an item without evidence.
    parameters
        What the sources are like; enough to update one item without a new fit (`posterior_of`).
    rounds, has_converged
        How often EM went back and forth, and whether it stopped by itself.
    log_likelihood
        Of the evidence, in nats, after each round (gold, which is given, left out).
    warnings
        Where the evidence cannot tell what is true.
    """

    posterior: NDArray[np.float32]
    parameters: Parameters
    rounds: int
    has_converged: bool
    log_likelihood: tuple[float, ...]
    warnings: tuple[BeliefWarning, ...]

    @property
    def confusion(self) -> NDArray[np.float64]:
        """Shape (A, K, K): chance that each annotator, of items of a class, states each class; rows sum to 1."""
        return mean_of(self.parameters.confusion[:-1])

    @property
    def confusion_deviation(self) -> NDArray[np.float64]:
        """Shape (A, K, K): how uncertain each of these chances is, as a standard deviation."""
        return deviation_of(self.parameters.confusion[:-1])


def fit(
    evidence: Evidence,
    *,
    start: Parameters | None = None,
    model_prior: ModelPrior | None = None,
    settings: Settings | None = None,
) -> Beliefs:
    """Work out the posterior of every item and what every source is like.

    Parameters
    ----------
    start
        What was learned before. EM begins from it instead of the votes, and after a little new evidence needs few rounds.
    model_prior
        What a model says of the items, as a weak prior; None (the default): nothing.

    Returns
    -------
    Beliefs; see there. No evidence at all: the class prior everywhere, and a warning.

    Notes
    -----
    EM finds a local optimum, and with the classes renamed the likelihood would be the same. It begins from the shares of the
    votes, and all priors lean to the diagonal, so it settles where most answers are right. If most answers are wrong, no method
    can know; what looks like it is warned of. Rounds cost O(n K) for n pieces of evidence, memory about 60 n + 24 K n_items bytes.

    Examples
    --------
    >>> from datasets.consensus.evidence import evidence
    >>> items, sources = np.repeat(np.arange(40), 3), np.tile([0, 1, 2], 40)
    >>> truth = np.arange(40) % 2
    >>> answers = np.where(sources == 2, 1 - truth[items], truth[items])  # the third always says the opposite
    >>> beliefs = fit(evidence(items, sources, answers, n_items=40, n_sources=3, n_classes=2))
    >>> bool((beliefs.posterior.argmax(axis=1) == truth).all()), beliefs.confusion.round(1)[2].tolist()
    (True, [[0.1, 0.9], [0.9, 0.1]])

    References
    ----------
    Dawid, Skene: Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm. Applied Statistics 1979.
    Paun et al.: Comparing Bayesian Models of Annotation. TACL 2018 (matrices drawn towards a shared one).
    """
    settings = settings or Settings()
    layout = layout_of(evidence)
    weights = layout.matrix(evidence)
    # By row of the table, so that the counts are a product of the same kind.
    by_row = weights.T.tocsr()
    gold = _gold(evidence)
    leaning = _leaning(evidence, model_prior)
    heard = np.zeros(evidence.n_items, dtype=bool)
    heard[evidence.item[evidence.weight > 0]] = True
    reached = int(heard.sum())
    posterior = majority(evidence)
    gold.clamp(posterior)
    parameters = start
    if start is not None:
        start = replace(start, review_accuracy=settings.review_accuracy)
        posterior, _ = _expect(weights, start.log_likelihood(layout), start.class_prior, leaning, gold)
    trace: list[float] = []
    has_converged = False
    while len(trace) < settings.most_rounds and not has_converged:
        parameters = maximise(layout, by_row, posterior, heard, settings.prior, parameters, settings.review_accuracy)
        table = parameters.log_likelihood(layout)
        renewed, fit_nats = _expect(weights, table, parameters.class_prior, leaning, gold)
        moved = float(np.abs(renewed - posterior).sum()) / 2.0 / max(1, reached)
        posterior = renewed
        trace.append(fit_nats)
        has_converged = moved < settings.tolerance or not reached
    if parameters is None:
        raise AssertionError("EM makes at least one round")
    warnings = (*warnings_before(evidence), *gold.warnings, *warnings_after(evidence, parameters, posterior))
    if not has_converged and settings.tolerance:
        warnings = (*warnings, BeliefWarning("not_converged", f"the belief still moved after {len(trace)} rounds"))
    return Beliefs(posterior.astype(np.float32), parameters, len(trace), has_converged, tuple(trace), warnings)


def posterior_of(
    evidence: Evidence, parameters: Parameters, *, model_prior: ModelPrior | None = None
) -> NDArray[np.float64]:
    """Return the posterior of the items of `evidence`, given what was learned before: the E-step alone.

    This is what one new answer costs: all the evidence of its item in, its posterior out, in time that depends on nothing else.
    Sources stay what they were found to be until the next fit. An annotator nobody knew counts as the newcomer: what all together are like.
    Shape (n_items, K), float64. Equal to the posterior of `fit` where the parameters are those of its last round.
    """
    layout = layout_of(evidence)
    return _expect(
        layout.matrix(evidence),
        parameters.log_likelihood(layout),
        parameters.class_prior,
        _leaning(evidence, model_prior),
        _gold(evidence),
    )[0]


@dataclass(frozen=True, eq=False)
class _Gold:
    items: NDArray[np.int64]
    truth: NDArray[np.float64]
    warnings: tuple[BeliefWarning, ...]

    def clamp(self, posterior: NDArray[np.float64]) -> None:
        posterior[self.items] = self.truth


def _gold(evidence: Evidence) -> _Gold:
    """The gold answers of the items that have any. Where they contradict each other they share."""
    rows = evidence.rows((evidence.kind == Kind.GOLD) & (evidence.weight > 0))
    items, place = np.unique(rows.item, return_inverse=True)
    votes = np.zeros((len(items), evidence.n_classes))
    np.add.at(votes, (place, rows.answer), 1.0)
    torn = items[(votes > 0).sum(axis=1) > 1]
    message = f"{len(torn)} items have gold answers that contradict each other"
    warnings = (BeliefWarning("gold_conflict", message, tuple(torn.tolist())),) if len(torn) else ()
    return _Gold(items, shares(votes), warnings)


def _leaning(evidence: Evidence, prior: ModelPrior | None) -> NDArray[np.float64] | None:
    return None if prior is None else prior.log_odds(evidence.n_items, evidence.n_classes)


def _expect(
    weights: sparse.csr_matrix,
    table: NDArray[np.float64],
    class_prior: NDArray[np.float64],
    leaning: NDArray[np.float64] | None,
    gold: _Gold,
) -> tuple[NDArray[np.float64], float]:
    """The E-step: posterior of each item, and the log-likelihood of the evidence about items without gold."""
    belief: NDArray[np.float64] = weights @ table
    belief += np.log(class_prior)
    if leaning is not None:
        belief += leaning
    top = row_maxima(belief)
    belief -= top[:, None]
    np.exp(belief, out=belief)
    total = row_sums(belief)
    belief /= total[:, None]
    nats = top + np.log(total)
    nats[gold.items] = 0.0
    gold.clamp(belief)
    return belief, float(nats.sum())

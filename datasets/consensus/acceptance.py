"""Accept a label, ask once more, or send to review: a policy over posteriors and the evidence behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.adaptive_overlap import value_of_answer
from datasets.consensus.evidence import Evidence, Kind

LEAST_INFORMATION_NATS: Final = 0.01
HYSTERESIS: Final = 0.05


class Action(IntEnum):
    """What is to be done with an item."""

    ACCEPT = 0
    ASK = 1
    REVIEW = 2


@dataclass(frozen=True)
class AcceptancePolicy:
    """When a label counts as known.

    threshold
        In (0, 1]: the posterior of the likeliest class must reach it. `by_class` has others for single classes (positions).
    least_evidence
        >= 1: pieces of evidence by different sources, of any kind.
    least_by_kind
        How many sources of a kind must have spoken, e.g. {Kind.ANNOTATION: 1}: no label from thumbs alone.
    most_answers
        Sources of statements (annotations, corrections) after which one more is not asked for: a person must look.
    least_information_nats
        What one more answer must be expected to teach to be worth asking for.
    hysteresis
        >= 0: a label that stands falls only when its posterior is lower than the threshold by more than this. Without it
        a posterior that wavers around the threshold would write a row with every answer.
    """

    threshold: float = 0.9
    least_evidence: int = 2
    by_class: Mapping[int, float] = field(default_factory=dict)
    least_by_kind: Mapping[Kind, int] = field(default_factory=dict)
    most_answers: int = 5
    least_information_nats: float = LEAST_INFORMATION_NATS
    hysteresis: float = HYSTERESIS

    def __post_init__(self) -> None:
        thresholds = [self.threshold, *self.by_class.values()]
        if not all(0 < each <= 1 for each in thresholds):
            raise ValueError("a threshold is above 0 and at most 1")
        if self.least_evidence < 1 or self.most_answers < 1 or min(self.least_by_kind.values(), default=0) < 0:
            raise ValueError("counts of evidence are not below 1")
        if not self.hysteresis >= 0:
            raise ValueError("the hysteresis is not below 0")
        if self.most_answers < self.least_by_kind.get(Kind.ANNOTATION, 0):
            raise ValueError("more annotations are needed than are ever asked for")


@dataclass(frozen=True, eq=False)
class Decisions:
    """One row per item.

    action
        int8, an `Action`.
    label, probability
        The likeliest class (ties: the lowest) and its posterior.
    value
        float64 >= 0, nats one more answer is expected to teach; asks are in order of it.
    reason
        Code of what decided: "accepted", "gold", "stands" (by the hysteresis), "below_threshold", "too_little_evidence", "kind_missing",
        "enough_answers", "nothing_to_learn".
    """

    action: NDArray[np.int8]
    label: NDArray[np.int64]
    probability: NDArray[np.float64]
    value: NDArray[np.float64]
    reason: NDArray[np.str_]


def decide(
    posterior: NDArray[np.float32],
    evidence: Evidence,
    confusion: NDArray[np.float64],
    policy: AcceptancePolicy,
    *,
    standing: NDArray[np.int64] | None = None,
) -> Decisions:
    """Decide about every item, given what is believed of it.

    Accept where there is gold, or where the posterior passes the class's threshold with enough evidence behind it. Else
    ask for one more answer, unless the item has had `most_answers` or one more (by somebody with the typical `confusion`) would teach next to nothing although the
    evidence suffices: then a person has to look. An item with too little evidence is asked about however sure
    the posterior is. What a reviewer looked at needs no further evidence to be enough. Rows of weight 0 do not count. O(n K^2).

    `standing`, shape (n_items,), is the class of the label that stands now, -1 where there is none; see `hysteresis`.

    >>> from datasets.consensus.evidence import evidence
    >>> said = evidence([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [1, 1, 0, 1, 1], n_items=3, n_sources=2, n_classes=2)
    >>> posterior = np.array([[0.02, 0.98], [0.5, 0.5], [0.05, 0.95]], dtype=np.float32)
    >>> found = decide(posterior, said, np.array([[0.9, 0.1], [0.1, 0.9]]), AcceptancePolicy())
    >>> [Action(each).name for each in found.action], found.reason.tolist()
    (['ACCEPT', 'ASK', 'ASK'], ['accepted', 'below_threshold', 'too_little_evidence'])
    """
    if posterior.shape != (evidence.n_items, evidence.n_classes):
        raise ValueError(f"the posterior must have the shape ({evidence.n_items}, {evidence.n_classes})")
    label = posterior.argmax(axis=1).astype(np.int64)
    probability = posterior.max(axis=1).astype(np.float64)
    thresholds = np.full(evidence.n_classes, policy.threshold)
    for position, threshold in policy.by_class.items():
        thresholds[position] = threshold
    heard = {kind: sources_heard(evidence, kind) for kind in Kind}
    has_gold = heard[Kind.GOLD] > 0
    enough = sum(heard.values(), start=np.zeros(evidence.n_items, dtype=np.int64)) >= policy.least_evidence
    was_reviewed = heard[Kind.REVIEW] > 0
    enough |= was_reviewed
    right_kinds = np.ones(evidence.n_items, dtype=bool)
    for kind, least in policy.least_by_kind.items():
        right_kinds &= (heard[kind] >= least) | was_reviewed
    # The posterior is stored as float32: 0.9 must reach 0.9.
    is_sure = probability >= thresholds[label] - 1e-6
    stands = np.zeros(evidence.n_items, dtype=bool)
    if standing is not None:
        stands = (standing == label) & (probability >= thresholds[label] - policy.hysteresis - 1e-6)
    value = value_of_answer(posterior, confusion)
    statements = heard[Kind.ANNOTATION] + heard[Kind.CORRECTION]
    is_accepted = has_gold | ((is_sure | stands) & enough & right_kinds)
    is_spent = statements >= policy.most_answers
    is_idle = enough & right_kinds & ~is_sure & (value < policy.least_information_nats)
    action = np.select([is_accepted, is_spent | is_idle], [Action.ACCEPT, Action.REVIEW], Action.ASK).astype(np.int8)
    reason = np.select(
        [has_gold, is_accepted & is_sure, is_accepted, is_spent, is_idle, ~enough, ~right_kinds],
        ["gold", "accepted", "stands", "enough_answers", "nothing_to_learn", "too_little_evidence", "kind_missing"],
        "below_threshold",
    )
    return Decisions(action, label, probability, value, reason)


def sources_heard(evidence: Evidence, kind: Kind) -> NDArray[np.int64]:
    """How many different sources of a kind spoke about each item; shape (n_items,). Rows of weight 0 do not count."""
    counts = (evidence.kind == kind) & (evidence.weight > 0)
    pairs = np.unique(evidence.item[counts] * evidence.n_sources + evidence.source[counts])
    return np.bincount(pairs // max(1, evidence.n_sources), minlength=evidence.n_items).astype(np.int64)

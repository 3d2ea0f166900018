"""What annotators said, judged by the evidence of all others: nobody is right because they said so themselves."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.confusion import ConfusionPrior, posterior_counts
from datasets.consensus.evidence import Evidence, Kind
from datasets.consensus.layout import layout_of
from datasets.consensus.parameters import Parameters

SELF_JUDGED: Final = 0.3


def counts_without_own(evidence: Evidence, parameters: Parameters, *, everything: bool = True) -> NDArray[np.float64]:
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
    if not everything:
        judged &= evidence.weight > 0
    rows = evidence.rows(judged)
    without = belief[rows.item] - rows.weight[:, None] * table[layout.row_of[judged]]
    without -= without.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(without, out=without)
    without /= without.sum(axis=1, keepdims=True)
    size = evidence.n_sources * classes
    cells = rows.source * classes + rows.answer
    counts = np.stack([np.bincount(cells, weights=without[:, k], minlength=size) for k in range(classes)], axis=1)
    return counts.astype(np.float64, copy=False).reshape(evidence.n_sources, classes, classes).transpose(0, 2, 1)


def judged_by_others(evidence: Evidence, parameters: Parameters, prior: ConfusionPrior | None = None) -> Parameters:
    """Return the parameters with every annotator's matrix learned mostly from such counts instead, for 0.3 as EM found it.

    Where most items have one answer, EM finds everybody right, and the most diligent the most certainly. Before it matters who is asked next
    (`value_of_pairs`), that must not count. Answers nobody else judged would be lost altogether, hence the 0.3.
    """
    counts = counts_without_own(evidence, parameters)[parameters.annotators]
    judged = posterior_counts(counts, prior or ConfusionPrior())
    return replace(parameters, confusion=SELF_JUDGED * parameters.confusion + (1.0 - SELF_JUDGED) * judged)

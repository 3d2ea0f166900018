"""Warnings where the evidence cannot tell what is true, whatever the posterior says."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from datasets.consensus.confusion import mean_of
from datasets.consensus.evidence import Evidence, Kind
from datasets.consensus.parameters import Parameters, is_statement

Code = Literal[
    "no_evidence",
    "two_sources",
    "no_overlap",
    "separate_groups",
    "verdicts_only",
    "class_never_seen",
    "class_vanished",
    "classes_swapped",
    "sign_ambiguous",
    "gold_conflict",
    "not_converged",
]
LEAST_OVERLAP: Final = 0.05
LARGEST_ADVERSE_SHARE: Final = 0.3
LEAST_ANSWERS: Final = 10


@dataclass(frozen=True)
class BeliefWarning:
    """A reason not to trust the beliefs. `about` are classes or items, as the code says; empty: all."""

    code: Code
    message: str
    about: tuple[int, ...] = ()


def warnings_before(evidence: Evidence) -> tuple[BeliefWarning, ...]:
    """What the shape of the evidence says: who met whom on which items, and which classes were ever named.

    With K classes, the matrices of sources can be learned if enough items have three answers by different sources (Kruskal); with two, how
    often each is right cannot be told from their agreement, and the result rests on the priors. Gold settles all of it.
    O(n) plus connected components of the graph of sources and items.
    """
    counts = (evidence.weight > 0) & (evidence.kind != Kind.GOLD)
    has_gold = bool(((evidence.kind == Kind.GOLD) & (evidence.weight > 0)).any())
    said = evidence if counts.all() else evidence.rows(counts)
    found: list[BeliefWarning] = []
    if not len(said):
        return (BeliefWarning("no_evidence", "nobody has said anything; the posterior is the prior"),)
    is_verdict = ~is_statement(said.kind)
    named = np.zeros(evidence.n_classes, dtype=bool)
    named[np.where(is_verdict, said.predicted, said.answer)] = True
    unseen = tuple(np.flatnonzero(~named).tolist())
    if unseen:
        found.append(BeliefWarning("class_never_seen", f"{len(unseen)} classes were never named", unseen))
    if is_verdict.all() and not has_gold:
        found.append(
            BeliefWarning(
                "verdicts_only", "only verdicts: how harsh people are cannot be told from how good the model is"
            )
        )
    if not has_gold:
        found += _overlap_warnings(said)
    return tuple(found)


def _overlap_warnings(said: Evidence) -> list[BeliefWarning]:
    heard = np.bincount(said.item, minlength=said.n_items)
    reached, overlapping = int((heard > 0).sum()), int((heard > 1).sum())
    if overlapping < LEAST_OVERLAP * reached:
        text = f"{overlapping} of {reached} items have more than one piece of evidence; how good sources are rests on the prior"
        return [BeliefWarning("no_overlap", text)]
    if np.count_nonzero(np.bincount(said.source)) < 3 or not (heard > 2).any():
        return [
            BeliefWarning(
                "two_sources",
                "no item has three answers by different sources: agreement alone cannot tell who is right",
            )
        ]
    graph = sparse.coo_matrix(
        (np.ones(len(said), dtype=np.int8), (said.item, said.n_items + said.source)),
        shape=(said.n_items + said.n_sources,) * 2,
    )
    _, group = connected_components(graph, directed=False)
    # Sources that met nobody are groups of their own and harm none; two large groups have no common measure.
    sizes = np.bincount(group[said.item])
    large = int((sizes >= max(2, 0.1 * len(said))).sum())
    if large > 1:
        return [
            BeliefWarning(
                "separate_groups", f"{large} groups of sources never met on an item: they have no common measure"
            )
        ]
    return []


def warnings_after(
    evidence: Evidence, parameters: Parameters, posterior: NDArray[np.float64]
) -> tuple[BeliefWarning, ...]:
    """What the fit says: classes that vanished or changed places, and crowds of which many seem to say the opposite.

    If a third of the answers come from annotators below chance, then the mirror image of the fit is nearly as
    likely: which of the two camps is right was decided by the majority alone. O(A K^2 + n).
    """
    if (evidence.kind == Kind.GOLD).any():
        return ()
    classes = evidence.n_classes
    found: list[BeliefWarning] = []
    counts = parameters.confusion[:-1]
    confusion = mean_of(counts)
    plain = (evidence.kind == Kind.ANNOTATION) & np.isnan(evidence.epsilon) & (evidence.weight > 0)
    if plain.any() and len(counts):
        said = np.bincount(evidence.source[plain], minlength=evidence.n_sources)[parameters.annotators]
        accuracy = np.einsum("wkk,k->w", confusion, parameters.class_prior)
        adverse = said[(accuracy < 1.0 / classes) & (said >= LEAST_ANSWERS)].sum() / said.sum()
        if adverse >= LARGEST_ADVERSE_SHARE:
            text = f"{adverse:.0%} of the answers come from annotators below chance: the opposite belief is as plausible; add gold"
            found.append(BeliefWarning("sign_ambiguous", text))
        pooled = np.einsum("wkl,w->kl", confusion, said / said.sum())
        named = np.bincount(evidence.answer[plain], minlength=classes)
        held = posterior.sum(axis=0)
        swapped = np.flatnonzero((pooled.argmax(axis=1) != np.arange(classes)) & (held >= 1) & (named > 0))
        if len(swapped):
            text = f"{len(swapped)} classes are mostly named as another one: they may have changed places"
            found.append(BeliefWarning("classes_swapped", text, tuple(swapped.tolist())))
        vanished = np.flatnonzero((held < 0.5) & (named >= LEAST_ANSWERS))
        if len(vanished):
            text = (
                f"{len(vanished)} classes were named {LEAST_ANSWERS} times or more, but no item is believed to be one"
            )
            found.append(BeliefWarning("class_vanished", text, tuple(vanished.tolist())))
    return tuple(found)

"""When cold start ends: from typical items to the ones the model is unsure of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DEFAULT_LABELS_PER_CLASS: Final = 5


@dataclass(frozen=True, slots=True)
class HandOver:
    """Whether selection by informativeness may begin, and why, in a sentence."""

    is_done: bool
    reason: str


def decide(
    class_counts: Mapping[str, int], *, classes: int, labels_per_class: int = DEFAULT_LABELS_PER_CLASS, has_scores: bool
) -> HandOver:
    """Decide whether there are labels enough for a model's doubt to mean something.

    It may begin when items have scores, at least two classes have labels, and labels >= labels_per_class * classes.
    What counts is the number of labels in all, not of each class: in an imbalanced pool the rare class would otherwise keep
    cold start going for hundreds of labels, when it is doubt that finds rare items.

    Parameters
    ----------
    class_counts
        Labels so far by class; classes without any may be missing.
    classes
        Number of classes of the label schema, >= 1. With one class, or none that exclude each other, one seen is enough.
    labels_per_class
        >= 0. 0: as soon as there are scores, however few labels (the model may come from elsewhere).
    has_scores
        Whether any item of the pool has a score.

    Raises
    ------
    ValueError
        For a negative count or parameter, or less than one class.

    >>> decide({"spam": 1, "ham": 9}, classes=2, has_scores=True).is_done
    True
    >>> decide({"ham": 40}, classes=2, has_scores=True).reason
    'Cold start: all 40 labels are of one class.'

    References
    ----------
    Hacohen, Dekel, Weinshall: Active Learning on a Budget. ICML 2022 (low budgets want typical items, high ones doubtful).
    """
    if classes < 1 or labels_per_class < 0 or any(count < 0 for count in class_counts.values()):
        raise ValueError("classes must be at least 1, and counts not negative")
    if not has_scores:
        return HandOver(False, "Cold start: no model has scored the pool yet.")
    if labels_per_class == 0:
        return HandOver(True, "By informativeness: the policy has no cold start.")
    labels = sum(class_counts.values())
    seen = sum(count > 0 for count in class_counts.values())
    needed = labels_per_class * classes
    if seen < min(classes, 2):
        said = f"all {labels} labels are of one class" if labels else "there is no label yet"
        return HandOver(False, f"Cold start: {said}.")
    if labels < needed:
        return HandOver(False, f"Cold start: {labels} of {needed} labels ({labels_per_class} a class).")
    return HandOver(True, f"By informativeness: {labels} labels, at least {labels_per_class} a class on average.")

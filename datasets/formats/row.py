"""One row of a dataset, as every export format and every trainer gets it."""

from dataclasses import dataclass

from labeling.schema import JSONValue
from labeling.splitting import Split


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A labelled item as it was when the snapshot was taken.

    label
        The class key; empty where an answer is not one class.
    value
        What was said, in its natural form: a list of classes, a number, a text, spans, boxes; None where the label says it.
    probability
        How sure the label is, in (0, 1].
    split
        Decided by the item's key for ever. Rows of the split "test" are the audit reserve: never train on them.
    propensity
        Probability with which the item was drawn at its draw, in (0, 1]; None if a person chose it.
    is_audit
        Whether it was drawn uniformly at random to measure models honestly.
    """

    key: str
    label: str
    probability: float
    split: Split
    propensity: float | None
    is_audit: bool
    payload: dict[str, JSONValue]
    segments: dict[str, JSONValue]
    value: JSONValue = None

    @property
    def said(self) -> JSONValue:
        """The label as a file holds it."""
        return self.label if self.value is None else self.value


def value_of(answer: JSONValue) -> JSONValue:
    """The natural form of an answer: the one value in it, whatever its kind calls it.

    >>> value_of({"choices": ["a", "b"]})
    ['a', 'b']
    """
    if not isinstance(answer, dict) or len(answer) != 1:
        raise ValueError(f"an answer has one field, not {answer!r}")
    return next(iter(answer.values()))

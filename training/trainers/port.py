"""What a trainer is, whatever it learns with."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Payload = Mapping[str, object]


class TrainerError(ValueError):
    """These rows cannot be learned from, or not be predicted. The message is for the person who sent them.

    row
        Position of the first offending payload; None when no single row is to blame.
    """

    def __init__(self, message: str, *, row: int | None = None) -> None:
        super().__init__(message if row is None else f"row {row}: {message}")
        self.reason = message
        self.row = row


class Model(Protocol):
    """What a trainer returns."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def predict_proba(self, payloads: Sequence[Payload]) -> NDArray[np.float32]:
        """Class probabilities of shape (n, C), in the order of `classes`; TrainerError naming an unreadable row."""
        ...


class Trainer(Protocol):
    """Learns to tell classes apart from labelled payloads."""

    @property
    def name(self) -> str: ...

    @property
    def payload_key(self) -> str:
        """The key of a payload that it reads."""
        ...

    def fit(
        self, payloads: Sequence[Payload], labels: Sequence[str], *, seed: int, classes: Sequence[str] | None = None
    ) -> Model:
        """Learn from row i's payload and label; the same arguments give the same model.

        `classes` are the classes of the model in their order, among them every label (default: the labels,
        sorted). TrainerError when there is nothing to learn from, or naming the first row that cannot be read.
        """
        ...

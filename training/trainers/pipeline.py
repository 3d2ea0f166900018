"""What the built-in trainers share: a scikit-learn pipeline over one key of the payload, with calibrated probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from labeling import calibration
from labeling.calibration import Temperature
from training.trainers.port import Payload, TrainerError

UNSEEN_PROBABILITY: Final = 1e-4
"""What a class gets of which no example was seen: small, but not the certainty that it never happens, which would make
one such label cost an infinite log loss."""

Inputs = NDArray[Any]
"""What the pipeline takes, one row per payload: shape (n,) of strings, or (n, d) of numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A trained model: predicts from payloads alone.

    classes
        In the order of the columns of `predict_proba`.
    seen
        Shape (S,), positions in `classes` of those with examples, in the order of the pipeline's columns.
    pipeline
        None when only one class had examples: then there is nothing to tell apart.
    width
        Numbers per row it was trained on; None for inputs that are no vectors.
    """

    trainer: "PipelineTrainer"
    classes: tuple[str, ...]
    seen: NDArray[np.int64]
    pipeline: Pipeline | None
    temperature: Temperature
    width: int | None

    def predict_proba(self, payloads: Sequence[Payload]) -> NDArray[np.float32]:
        """Return the class probabilities of each payload.

        Classes without examples get `UNSEEN_PROBABILITY` each (all together at most one half), the others share the rest
        as the pipeline and the temperature say.

        Returns
        -------
        Shape (n, C), float32, rows sum to 1. n = 0 gives an empty array.

        Raises
        ------
        TrainerError
            Naming the first payload that cannot be read.
        """
        n_unseen = len(self.classes) - len(self.seen)
        floor = min(UNSEEN_PROBABILITY, 0.5 / n_unseen) if n_unseen else 0.0
        inputs = self.trainer.read(payloads, width=self.width)
        probabilities = np.full((len(payloads), len(self.classes)), floor)
        if len(payloads):
            probabilities[:, self.seen] = (1.0 - n_unseen * floor) * self._among_seen(inputs)
        return probabilities.astype(np.float32)

    def _among_seen(self, inputs: Inputs) -> NDArray[np.float64]:
        if self.pipeline is None:
            return np.ones((len(inputs), 1))
        return calibration.apply(log_proba(self.pipeline, inputs), self.temperature.value)


class PipelineTrainer(ABC):
    """Reads one key of each payload, and learns with a pipeline that ends in a probabilistic classifier."""

    name: ClassVar[str]
    payload_key: ClassVar[str]

    @abstractmethod
    def read(self, payloads: Sequence[Payload], *, width: int | None = None) -> Inputs:
        """Take the inputs out of the payloads; TrainerError naming the first that has none.

        `width` is how many numbers a row must have; None: as many as the first one.
        """

    @abstractmethod
    def obstacle(self, inputs: Inputs) -> str:
        """Why a pipeline cannot be fitted to these inputs, whatever their labels; empty when it can."""

    @abstractmethod
    def pipeline(self) -> Pipeline:
        """A fresh, unfitted pipeline. It may use no randomness."""

    def fit(
        self, payloads: Sequence[Payload], labels: Sequence[str], *, seed: int, classes: Sequence[str] | None = None
    ) -> FittedModel:
        """Learn to predict the label from the payload.

        The pipeline sees all rows; the temperature is fitted out of fold (see `calibration.out_of_fold`). With one class
        only, the model says that class of everything and has no temperature.

        Parameters
        ----------
        payloads, labels
            Row i's payload and class; at least one row.
        seed
            Decides the folds of the calibration and nothing else.
        classes
            The model's classes in their order, among them every label. Default: the labels, sorted.

        Raises
        ------
        TrainerError
            No rows, a label that is not among the classes, a payload that cannot be read, or none with anything to learn.
        """
        model_classes = tuple(sorted(set(labels))) if classes is None else tuple(classes)
        positions = _positions(labels, model_classes)
        if len(payloads) != len(labels):
            raise TrainerError(f"{len(payloads)} payloads and {len(labels)} labels do not pair up")
        inputs = self.read(payloads)
        seen = np.unique(positions)
        width = inputs.shape[1] if inputs.ndim == 2 else None
        if len(seen) == 1:
            uncalibrated = Temperature(1.0, 0, "only one class has examples")
            return FittedModel(self, model_classes, seen, None, uncalibrated, width)
        if problem := self.obstacle(inputs):
            raise TrainerError(problem)
        fitted = self.pipeline().fit(inputs, positions)
        temperature = self._temperature(inputs, positions, seen, seed=seed)
        return FittedModel(self, model_classes, seen, fitted, temperature, width)

    def _temperature(
        self, inputs: Inputs, positions: NDArray[np.int64], seen: NDArray[np.int64], *, seed: int
    ) -> Temperature:
        columns = np.searchsorted(seen, positions)

        def predict_fold(training: NDArray[np.int64], held_out: NDArray[np.int64]) -> NDArray[np.float64] | None:
            known = np.unique(columns[training])
            training_inputs = inputs[training]
            if len(known) < 2 or self.obstacle(training_inputs):
                return None
            log_probabilities = np.full((len(held_out), len(seen)), -np.inf)
            fitted = self.pipeline().fit(training_inputs, columns[training])
            log_probabilities[:, known] = log_proba(fitted, inputs[held_out])
            return log_probabilities

        return calibration.out_of_fold(columns, len(seen), predict_fold, rng=np.random.default_rng(seed))


def _positions(labels: Sequence[str], classes: tuple[str, ...]) -> NDArray[np.int64]:
    if not labels:
        raise TrainerError("there are no labelled rows to learn from")
    place = {name: position for position, name in enumerate(classes)}
    for row, label in enumerate(labels):
        if label not in place:
            raise TrainerError(f"the label “{label}” is not a class of the schema", row=row)
    return np.array([place[label] for label in labels], dtype=np.int64)


def log_proba(pipeline: Pipeline, inputs: Inputs) -> NDArray[np.float64]:
    """Logarithms of the fitted pipeline's class probabilities, shape (n, C), all finite."""
    # A probability may underflow to 0; a finite logarithm keeps 0 * inf out of the temperature's sums.
    probabilities: NDArray[np.float64] = np.asarray(pipeline.predict_proba(inputs), dtype=np.float64)
    return np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))

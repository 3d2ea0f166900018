"""Class probabilities of labelled rows by models that never saw them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labeling import calibration
from training.trainers.pipeline import Inputs, PipelineTrainer, log_proba
from training.trainers.port import Payload, TrainerError

FOLDS: Final = 5
_LEAST_ROWS: Final = 10


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What models say of rows that they were not trained on.

    rows
        Shape (m,), positions of the rows that could be read and judged, ascending.
    probabilities
        Shape (m, C), float64, rows sum to 1; the columns are the classes that were given. A class that no training row has gets 0.
    unreadable
        How many payloads the trainer cannot read.
    temperature
        What the logarithms of the probabilities were divided by, see `labeling.calibration`.
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    unreadable: int
    temperature: float


def held_out(
    trainer: PipelineTrainer,
    payloads: Sequence[Payload],
    labels: NDArray[np.int64],
    n_classes: int,
    *,
    is_trainable: NDArray[np.bool_],
    seed: int,
    folds: int = FOLDS,
) -> HeldOut:
    """Cross-validate: cut the trainable rows into folds, and let a model of the others predict each fold.

    Rows that must not be trained on are predicted by all models of the folds, none of which saw them: the mean of what these
    say. One temperature is fitted to all rows together, so that the probabilities are as sure as they are
    right; it changes no row's order of classes.

    Parameters
    ----------
    labels
        Shape (n,), int64 in [0, n_classes).
    is_trainable
        Shape (n,); the audit reserve is not.
    seed
        Deals the rows out to the folds, class by class; nothing else is random.

    Returns
    -------
    HeldOut. A trainable row is judged even if it is the only one of its class: then its model gives its class 0.

    Raises
    ------
    TrainerError
        Fewer than ten readable rows to train on, fewer than two classes among them, or no fold has anything to learn from.

    Notes
    -----
    `folds` trainings of (folds - 1) / folds of the rows. Rows with equal payloads may fall into different folds: then a label
    that is wrong twice in the same way is not found.
    """
    inputs, readable = _read(trainer, payloads)
    truth, may_train = labels[readable], is_trainable[readable]
    training_rows, others = np.flatnonzero(may_train), np.flatnonzero(~may_train)
    if len(training_rows) < _LEAST_ROWS or len(np.unique(truth[training_rows])) < 2:
        raise TrainerError(f"at least {_LEAST_ROWS} labels of two classes are needed that are not of the audit reserve")
    dealt = calibration.balanced_folds(truth[training_rows], folds, rng=np.random.default_rng(seed))
    logs = np.full((len(readable), n_classes), -np.inf)
    sums, fitted = np.zeros((len(others), n_classes)), 0
    judged = np.zeros(len(readable), dtype=np.bool_)
    for fold in range(folds):
        kept, out = training_rows[dealt != fold], training_rows[dealt == fold]
        known = np.unique(truth[kept])
        if not len(out) or len(known) < 2 or trainer.obstacle(inputs[kept]):
            continue
        pipeline = trainer.pipeline().fit(inputs[kept], truth[kept])
        logs[np.ix_(out, known)] = log_proba(pipeline, inputs[out])
        judged[out] = True
        if len(others):
            sums[:, known] += np.exp(log_proba(pipeline, inputs[others]))
            fitted += 1
    if not judged.any():
        raise TrainerError("no fold of the labels has anything to learn from")
    if fitted:
        with np.errstate(divide="ignore"):
            logs[others] = np.log(sums / fitted)
        judged[others] = True
    places = np.flatnonzero(judged)
    known_truth = np.isfinite(logs[places, truth[places]])
    temperature = calibration.fit_temperature(logs[places][known_truth], truth[places][known_truth])
    probabilities = calibration.apply(logs[places], temperature)
    return HeldOut(readable[places], probabilities, len(payloads) - len(readable), temperature)


def _read(trainer: PipelineTrainer, payloads: Sequence[Payload]) -> tuple[Inputs, NDArray[np.int64]]:
    """The inputs of the rows that can be read, and their positions. Vectors of another width than the first one's cannot."""
    readable, width = [], None
    for row, payload in enumerate(payloads):
        try:
            found = trainer.read([payload], width=width)
        except TrainerError:
            continue
        width = found.shape[1] if found.ndim == 2 else None
        readable.append(row)
    if not readable:
        raise TrainerError("no payload can be read")
    return trainer.read([payloads[row] for row in readable], width=width), np.array(readable, dtype=np.int64)

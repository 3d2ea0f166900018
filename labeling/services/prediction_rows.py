"""The predictions of many rows, checked together against the model versions they name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeling import probability
from labeling.models import ModelVersion
from labeling.probability import RowProblem
from labeling.wire import PredictionPart, Probabilities, Row, RowError

_CODES: Final = {
    RowProblem.NOT_A_NUMBER: "probability_not_a_number",
    RowProblem.NEGATIVE: "negative_probability",
    RowProblem.ABOVE_ONE: "probability_above_one",
    RowProblem.BAD_SUM: "probabilities_do_not_sum_to_one",
}


class Score(NamedTuple):
    """A prediction as it is stored."""

    version_id: int
    probabilities: bytes
    predicted_class: str
    confidence: float


@dataclass
class Scores:
    """By position in the rows: the scores of those with a good prediction, and why the others are refused."""

    by_position: dict[int, Score] = field(default_factory=dict)
    refused: dict[int, RowError] = field(default_factory=dict)


@dataclass
class _Group:
    """The rows of one model version."""

    version: ModelVersion
    in_order: Callable[[dict[str, float]], Sequence[float]]
    positions: list[int] = field(default_factory=list)
    vectors: list[Sequence[float]] = field(default_factory=list)


def score(rows: Sequence[Row], versions: Mapping[str, ModelVersion]) -> Scores:
    """Check and pack the predictions of `rows`, one numpy array for each model version; `versions` is by name."""
    scores = Scores()
    groups: dict[str, _Group] = {}
    for position, row in enumerate(rows):
        prediction = row.prediction
        if prediction is None:
            continue
        try:
            group = groups.get(prediction.model_version) or groups.setdefault(
                prediction.model_version, _group(prediction, versions)
            )
            vector = _vector(group, prediction.probabilities)
        except RowError as error:
            error.key = row.key
            scores.refused[position] = error
            continue
        group.positions.append(position)
        group.vectors.append(vector)
    for group in groups.values():
        _score_group(group, rows, scores)
    return scores


def _group(prediction: PredictionPart, versions: Mapping[str, ModelVersion]) -> _Group:
    version = versions.get(prediction.model_version)
    if version is None:
        raise RowError("unknown_model_version", f"There is no model version “{prediction.model_version}”.")
    classes: list[str] = version.classes
    if len(classes) == 1:  # itemgetter of one name gives no tuple
        return _Group(version, lambda probabilities: [probabilities[classes[0]]])
    return _Group(version, itemgetter(*classes))


def _vector(group: _Group, probabilities: Probabilities) -> Sequence[float]:
    """The probabilities in the version's order of classes."""
    classes: list[str] = group.version.classes
    if isinstance(probabilities, list):
        if len(probabilities) != len(classes):
            raise RowError(
                "wrong_number_of_probabilities",
                f"{len(classes)} classes need as many probabilities, not {len(probabilities)}.",
            )
        return probabilities
    if len(probabilities) == len(classes):
        try:
            return group.in_order(probabilities)
        except KeyError:
            pass  # as many, but others
    unknown = next((name for name in probabilities if name not in classes), None)
    if unknown is not None:
        raise RowError("unknown_class", f"The model version has no class “{unknown[:100]}”.")
    missing = next(name for name in classes if name not in probabilities)
    raise RowError("missing_class", f"The class “{missing}” has no probability.")


def _score_group(group: _Group, rows: Sequence[Row], scores: Scores) -> None:
    if not group.vectors:
        return
    matrix = np.array(group.vectors, dtype=np.float64)
    is_bad, problems = probability.find_problems(matrix)
    for index in np.flatnonzero(is_bad):
        position, problem = group.positions[index], RowProblem(problems[index])
        scores.refused[position] = RowError(_CODES[problem], _message(problem, matrix[index]), rows[position].key)
    is_good = ~is_bad
    normalised = probability.normalise(matrix[is_good])
    classes: list[str] = group.version.classes
    for position, packed, best, confidence in zip(
        np.asarray(group.positions)[is_good].tolist(),
        probability.pack_many(normalised),
        normalised.argmax(axis=1).tolist(),
        np.minimum(normalised.max(axis=1), 1.0).tolist(),
        strict=True,
    ):
        scores.by_position[position] = Score(group.version.pk, packed, classes[best], confidence)


def _message(problem: RowProblem, row: NDArray[np.float64]) -> str:
    if problem == RowProblem.BAD_SUM:
        return f"The probabilities sum to {row.sum():.6g}, not to 1 (tolerance {probability.SUM_TOLERANCE:g})."
    return f"{problem.reason[0].upper()}{problem.reason[1:]}."

"""The predictions of many rows, checked together against the label schema and the model versions they name.

What a prediction is, the schema's kind says: probabilities of classes that exclude each other, probabilities of classes
each on its own, or an answer with the probability that it is right.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from labeling import probability
from labeling.models import ModelVersion
from labeling.probability import RowProblem
from labeling.schema import AnySchema, Numeric, SchemaError
from labeling.wire import PredictionPart, Row, RowError

_CODES: Final = {
    RowProblem.NOT_A_NUMBER: "probability_not_a_number",
    RowProblem.NEGATIVE: "negative_probability",
    RowProblem.ABOVE_ONE: "probability_above_one",
    RowProblem.BAD_SUM: "probabilities_do_not_sum_to_one",
}
_INSTEAD: Final = {
    "text_correction": "",
    "numeric": " (or the std of the number)",
    "spans": " (or one of each span)",
    "boxes": " (or one of each box)",
}


class Score(NamedTuple):
    """A prediction as it is stored."""

    version_id: int
    probabilities: bytes
    predicted_class: str
    confidence: float
    answer: bytes | None = None
    """JSON, where classes cannot say it."""


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


def score(rows: Sequence[Row], versions: Mapping[str, ModelVersion], label_schema: AnySchema | None) -> Scores:
    """Check and pack the predictions of `rows`; `versions` is by name. Without any prediction no schema is needed."""
    scores = Scores()
    if label_schema is None:
        return scores
    if label_schema.prediction_form == "confidence":
        _score_answers(rows, versions, label_schema, scores)
        return scores
    groups: dict[str, _Group] = {}
    for position, row in enumerate(rows):
        prediction = row.prediction
        if prediction is None:
            continue
        try:
            group = groups.get(prediction.model_version) or groups.setdefault(
                prediction.model_version, _group(prediction, versions)
            )
            vector = _vector(group, prediction)
        except RowError as error:
            error.key = row.key
            scores.refused[position] = error
            continue
        group.positions.append(position)
        group.vectors.append(vector)
    for group in groups.values():
        _score_group(group, rows, scores, is_exclusive=label_schema.prediction_form == "distribution")
    return scores


def _group(prediction: PredictionPart, versions: Mapping[str, ModelVersion]) -> _Group:
    version = _version(prediction, versions)
    classes: list[str] = version.classes
    if len(classes) == 1:  # itemgetter of one name gives no tuple
        return _Group(version, lambda probabilities: [probabilities[classes[0]]])
    return _Group(version, itemgetter(*classes))


def _version(prediction: PredictionPart, versions: Mapping[str, ModelVersion]) -> ModelVersion:
    version = versions.get(prediction.model_version)
    if version is None:
        raise RowError("unknown_model_version", f"There is no model version “{prediction.model_version}”.")
    return version


def _vector(group: _Group, prediction: PredictionPart) -> Sequence[float]:
    """The probabilities in the version's order of classes."""
    classes: list[str] = group.version.classes
    probabilities = prediction.probabilities
    if probabilities is UNSET:
        raise RowError("missing_field", "The prediction needs probabilities of the classes.")
    if prediction.answer is not UNSET or prediction.confidence is not UNSET or prediction.std is not UNSET:
        raise RowError("unexpected_field", "Beside probabilities of classes there is no answer, confidence or std.")
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


def _score_group(group: _Group, rows: Sequence[Row], scores: Scores, *, is_exclusive: bool) -> None:
    if not group.vectors:
        return
    matrix = np.array(group.vectors, dtype=np.float64)
    is_bad, problems = probability.find_problems(matrix, is_exclusive=is_exclusive)
    for index in np.flatnonzero(is_bad):
        position, problem = group.positions[index], RowProblem(problems[index])
        scores.refused[position] = RowError(_CODES[problem], _message(problem, matrix[index]), rows[position].key)
    is_good = ~is_bad
    classes: list[str] = group.version.classes
    if is_exclusive:
        checked = probability.normalise(matrix[is_good])
        predicted = [classes[best] for best in checked.argmax(axis=1).tolist()]
        confidences = np.minimum(checked.max(axis=1), 1.0)
    else:
        checked = matrix[is_good].astype(np.float32)
        predicted = [""] * len(checked)
        confidences = probability.joint_confidence(checked)
    for position, packed, predicted_class, confidence in zip(
        np.asarray(group.positions)[is_good].tolist(),
        probability.pack_many(checked),
        predicted,
        confidences.tolist(),
        strict=True,
    ):
        scores.by_position[position] = Score(group.version.pk, packed, predicted_class, confidence)


def _message(problem: RowProblem, row: NDArray[np.float64]) -> str:
    if problem == RowProblem.BAD_SUM:
        return f"The probabilities sum to {row.sum():.6g}, not to 1 (tolerance {probability.SUM_TOLERANCE:g})."
    return f"{problem.reason[0].upper()}{problem.reason[1:]}."


# -- answers with a confidence ------------------------------------------------------------------------------------------


def _score_answers(
    rows: Sequence[Row], versions: Mapping[str, ModelVersion], label_schema: AnySchema, scores: Scores
) -> None:
    for position, row in enumerate(rows):
        if row.prediction is None:
            continue
        try:
            scores.by_position[position] = _scored_answer(
                row, row.prediction, _version(row.prediction, versions), label_schema
            )
        except RowError as error:
            error.key = row.key
            scores.refused[position] = error


def _scored_answer(row: Row, prediction: PredictionPart, version: ModelVersion, label_schema: AnySchema) -> Score:
    if prediction.probabilities is not UNSET:
        raise RowError("unexpected_field", "Here a prediction is an answer with a confidence, not probabilities.")
    if prediction.answer is UNSET:
        raise RowError("missing_answer", "The prediction needs an answer in the form of the label schema.")
    try:
        answer, of_parts = label_schema.parse_prediction(prediction.answer)  # type: ignore[arg-type]  # decoded JSON
        if row.payload:
            label_schema.check_against(answer, msgspec.json.decode(row.payload))
    except SchemaError as error:
        raise RowError(error.code, f"The answer is not valid: {error}.") from None
    confidence = _confidence(prediction, of_parts, label_schema)
    packed = probability.pack(np.array([confidence], dtype=np.float32))
    return Score(version.pk, packed, "", confidence, msgspec.json.encode(answer))


def _confidence(prediction: PredictionPart, of_parts: float | None, label_schema: AnySchema) -> float:
    """How sure the model is: as it says of the whole answer, of its parts, or by the spread of a number."""
    std, confidence = prediction.std, prediction.confidence
    if std is not UNSET and not isinstance(label_schema, Numeric):
        raise RowError("unexpected_field", "Only a numeric prediction has a std.")
    if confidence is not UNSET:
        if std is not UNSET:
            raise RowError("unexpected_field", "Give either confidence or std, not both.")
        if not 0 <= confidence <= 1:
            raise RowError("invalid_confidence", f"A confidence is from 0 to 1, not {confidence:g}.")
        return confidence
    if std is not UNSET and isinstance(label_schema, Numeric):
        if not (math.isfinite(std) and std >= 0):
            raise RowError("invalid_std", f"A standard deviation is at least 0, not {std:g}.")
        return label_schema.confidence_from_std(std)
    if of_parts is None:
        raise RowError(
            "missing_confidence", f"The prediction needs a confidence from 0 to 1{_INSTEAD[label_schema.kind]}."
        )
    return of_parts

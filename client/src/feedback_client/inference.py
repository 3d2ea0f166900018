"""Logging around `predict_proba` of scikit-learn: what was predicted, how long it took, for whom, in which request.

Nothing of the app's own inference changes: results are returned as they are, its exceptions pass, and trouble with logging
is the client's to count.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from feedback_client.errors import InvalidArgument
from feedback_client.json_text import Array
from feedback_client.recording import Recording
from feedback_client.rows import Probabilities

Rows = TypeVar("Rows")
Result = TypeVar("Result")


class Estimator(Protocol):
    """What a fitted classifier of scikit-learn offers; a pipeline, too."""

    def predict_proba(self, X: object) -> object: ...  # the name is scikit-learn's


Source: TypeAlias = str | Callable[[Any], Iterable[object]] | Iterable[object]
"""Values for each row: the name of a column, a function of the rows, or the values themselves."""


@dataclass(frozen=True)
class InferenceLog:
    """How the predictions of one model version are logged."""

    client: Recording
    model_version: str
    keys: Source
    payloads: Source | None = None
    segments: Source | None = None
    respondents: Source | None = None
    respondent: str | None = None
    context: Mapping[str, object] | None = None

    def record(self, rows: object, probabilities: object, classes: object, *, latency_ms: float) -> None:
        """Queue one prediction a row; never raises unless the client is strict."""
        try:
            table = _rows_of(probabilities)
            names = None if classes is None else [str(name) for name in _listed(classes)]
            count = len(table)
            keys = [str(key) for key in _values(self.keys, rows, count, "keys")]
            payloads = self._optional(self.payloads, rows, count, "payloads")
            segments = self._optional(self.segments, rows, count, "segments")
            respondents = self._optional(self.respondents, rows, count, "respondents")
        except Exception as error:
            self.client.refuse(error)
            return
        context = {"latency_ms": round(latency_ms, 3), "rows_in_call": count, **(self.context or {})}
        for place, key in enumerate(keys):
            named: Probabilities = table[place]
            if names is not None and len(names) == len(table[place]):
                named = dict(zip(names, table[place], strict=True))
            respondent = respondents[place]
            self.client.log_prediction(
                key,
                model_version=self.model_version,
                probabilities=named,
                payload=cast("Mapping[str, object] | None", payloads[place]),  # checked there
                segments=cast("Mapping[str, str] | None", segments[place]),
                respondent=self.respondent if respondent is None else str(respondent),
                context=context,
            )

    def _optional(self, source: Source | None, rows: object, count: int, what: str) -> list[object]:
        return [None] * count if source is None else _values(source, rows, count, what)


class WatchedEstimator:
    """An estimator whose `predict_proba` is logged; everything else is the estimator's own."""

    def __init__(self, estimator: Estimator, log: InferenceLog) -> None:
        self._estimator = estimator
        self._log = log

    def predict_proba(self, X: object) -> Any:  # whatever the estimator returns
        started = time.perf_counter()
        probabilities = self._estimator.predict_proba(X)
        latency_ms = (time.perf_counter() - started) * 1000.0
        classes = getattr(self._estimator, "classes_", None)
        self._log.record(X, probabilities, classes, latency_ms=latency_ms)
        return probabilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self._estimator, name)


@contextmanager
def watching(
    client: Recording,
    estimator: Estimator,
    *,
    model_version: str,
    keys: Source,
    payloads: Source | None = None,
    segments: Source | None = None,
    respondents: Source | None = None,
    respondent: str | None = None,
    context: Mapping[str, object] | None = None,
) -> Iterator[WatchedEstimator]:
    """The estimator, with each call of `predict_proba` inside the block logged.

    Classes are named by the estimator's `classes_`, so that their order need not be the one the service knows.
    """
    log = InferenceLog(client, model_version, keys, payloads, segments, respondents, respondent, context)
    yield WatchedEstimator(estimator, log)


def logged(
    client: Recording,
    *,
    model_version: str,
    keys: Source,
    classes: Iterable[object] | None = None,
    payloads: Source | None = None,
    segments: Source | None = None,
    respondents: Source | None = None,
    respondent: str | None = None,
    context: Mapping[str, object] | None = None,
) -> Callable[[Callable[[Rows], Result]], Callable[[Rows], Result]]:
    """Decorate a function of rows that returns their class probabilities, one row each, such as an app's own scoring.

    `classes` names the columns, best as `estimator.classes_`; without, they are in the order the service knows.
    """
    log = InferenceLog(client, model_version, keys, payloads, segments, respondents, respondent, context)
    names = None if classes is None else list(classes)

    def decorate(score: Callable[[Rows], Result]) -> Callable[[Rows], Result]:
        @functools.wraps(score)
        def scored(rows: Rows) -> Result:
            started = time.perf_counter()
            probabilities = score(rows)
            log.record(rows, probabilities, names, latency_ms=(time.perf_counter() - started) * 1000.0)
            return probabilities

        return scored

    return decorate


def _rows_of(probabilities: object) -> list[list[float]]:
    table = _listed(probabilities)
    if not all(isinstance(row, list | tuple) for row in table):
        raise InvalidArgument(
            "invalid_probabilities", "predict_proba has to return a row of probabilities for each item."
        )
    return [[float(value) for value in row] for row in table if isinstance(row, list | tuple)]


def _values(source: Source, rows: object, count: int, what: str) -> list[object]:
    if callable(source):
        values = _listed(source(rows))
    else:
        values = _column(rows, source) if isinstance(source, str) else _listed(source)
    if len(values) != count:
        raise InvalidArgument("unequal_lengths", f"There are {len(values)} {what} for {count} predictions.")
    return values


def _column(rows: object, name: str) -> list[object]:
    """A column of a data frame, of a dict of columns, or of a list of dicts."""
    if isinstance(rows, list | tuple):
        return [row[name] for row in rows]
    if not hasattr(rows, "__getitem__"):
        raise InvalidArgument("no_columns", f"A {type(rows).__name__} has no column {name!r}.")
    return _listed(rows[name])


def _listed(values: object) -> list[object]:
    plain = values.tolist() if isinstance(values, Array) else values
    if not isinstance(plain, Iterable):
        raise InvalidArgument("no_values", f"A {type(values).__name__} is not a list of values.")
    return list(plain)

"""What our own models say of the items of their project."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from labeling.models import Item, ModelVersion, Prediction
from labeling.services import intake
from training.trainers import artifacts
from training.trainers.pipeline import FittedModel
from training.trainers.port import Payload, TrainerError

# Payloads may have up to a megabyte each, and a read is held in memory.
_ITEMS_PER_READ: Final = 500
_ITEMS_PER_WRITE: Final = 20_000


@dataclass(frozen=True)
class Predicted:
    """How many items got a prediction, how many could not be read by the model, and the first of those with the reason."""

    count: int = 0
    unreadable: int = 0
    example: str = ""

    def __add__(self, other: "Predicted") -> "Predicted":
        return Predicted(self.count + other.count, self.unreadable + other.unreadable, self.example or other.example)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some items, read together."""

    ids: Sequence[int]
    keys: Sequence[str]
    payloads: Sequence[Payload]


def limited_threads() -> AbstractContextManager[object]:
    """One thread for linear algebra: the matrices are small, and a worker shares its machine with the web server."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits


def naming(error: TrainerError, keys: Sequence[str]) -> str:
    """The reason, with the key of the item to blame in place of its row."""
    return error.reason if error.row is None else f"item “{keys[error.row]}”: {error.reason}"


def predict_all(version: ModelVersion, model: FittedModel) -> Predicted:
    """Predict every item of the project, replacing what the version said before.

    Streams: memory does not grow with the project. Committed in pieces. An item that the model cannot read gets no
    prediction and does not stop the others.
    """
    return _predict(version, model, Item.objects.filter(project_id=version.project_id))


def predict_missing(version: ModelVersion, model: FittedModel | None = None) -> Predicted:
    """Predict the items that the version has not predicted yet, by its stored model unless it is given.

    A champion's predictions reach the pool at once. Raises ArtifactError when the stored model cannot be loaded.
    """
    predicted = Prediction.objects.filter(model_version=version, item_id=OuterRef("pk"))
    missing = Item.objects.filter(~Exists(predicted), project_id=version.project_id)
    if not missing.exists():
        return Predicted()
    return _predict(version, model or artifacts.load(settings.ARTIFACT_DIR, version.artifact), missing)


def _predict(version: ModelVersion, model: FittedModel, items: QuerySet[Item]) -> Predicted:
    done = Predicted()
    ids: list[int] = []
    rows: list[NDArray[np.float32]] = []
    with limited_threads():
        for piece in _pieces(items):
            piece_ids, probabilities, trouble = _predict_readable(model, piece)
            ids.extend(piece_ids)
            rows.append(probabilities)
            done += trouble
            if len(ids) >= _ITEMS_PER_WRITE:
                done += _write(version, ids, rows)
                ids, rows = [], []
        return done + _write(version, ids, rows)


def _write(version: ModelVersion, ids: list[int], rows: list[NDArray[np.float32]]) -> Predicted:
    if not ids:
        return Predicted()
    item_ids = np.array(ids, dtype=np.int64)
    stored = intake.record_prediction_arrays(version, item_ids=item_ids, probabilities=np.concatenate(rows))
    return Predicted(count=stored)


def _pieces(items: QuerySet[Item]) -> Iterator[_Piece]:
    """In order of id; an item that arrives meanwhile comes last."""
    after = 0
    fields = ("pk", "key", "payload")
    while rows := list(items.filter(pk__gt=after).order_by("pk").values_list(*fields)[:_ITEMS_PER_READ]):
        ids, keys, payloads = zip(*rows, strict=True)
        after = ids[-1]
        yield _Piece(ids, keys, payloads)


def _predict_readable(model: FittedModel, piece: _Piece) -> tuple[Sequence[int], NDArray[np.float32], Predicted]:
    trouble = Predicted()
    while True:
        try:
            return piece.ids, model.predict_proba(piece.payloads), trouble
        except TrainerError as error:
            if error.row is None:
                raise
            trouble += Predicted(unreadable=1, example=naming(error, piece.keys))
            piece = _without(piece, error.row)


def _without(piece: _Piece, row: int) -> _Piece:
    kept = [place for place in range(len(piece.ids)) if place != row]
    return _Piece(
        [piece.ids[place] for place in kept],
        [piece.keys[place] for place in kept],
        [piece.payloads[place] for place in kept],
    )

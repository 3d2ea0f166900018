"""What comes in from apps and trainers: items, model versions and their predictions."""

import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from numpy.typing import NDArray

from labeling import news, probability, selectors
from labeling.errors import Conflict, InvalidInput
from labeling.models import ModelVersion, Project
from labeling.schema import Rating
from labeling.services import bulk, score_arrays
from labeling.services.recording import IntakeReport, ItemRecorder, OnConflict, PredictionRecorder

_LONGEST_NAME = 100


def record_items(
    project: Project,
    rows: Iterable[bytes | object],
    *,
    on_conflict: OnConflict = OnConflict.SKIP,
    lists_good_rows: bool = False,
    now: dt.datetime | None = None,
) -> IntakeReport:
    """Store items, and what model versions say of them; see labeling.wire for the form of a row.

    Every row is judged on its own; good ones are kept. Chunks of some thousand rows are committed one by one. The first
    good row of a key counts, later ones of the same call are refused. An item gets its permanent bucket and a pool
    entry, and a champion's prediction reaches the pool in the same transaction.
    """
    recorder = ItemRecorder(project, on_conflict=on_conflict, lists_good_rows=lists_good_rows, now=now)
    return recorder.record(rows)


def record_predictions(
    project: Project,
    rows: Iterable[bytes | object],
    *,
    on_conflict: OnConflict = OnConflict.SKIP,
    lists_good_rows: bool = False,
    now: dt.datetime | None = None,
) -> IntakeReport:
    """Store what model versions say of items that exist; otherwise as `record_items`."""
    recorder = PredictionRecorder(project, on_conflict=on_conflict, lists_good_rows=lists_good_rows, now=now)
    return recorder.record(rows)


@transaction.atomic
def register_model_version(
    project: Project,
    *,
    name: str,
    classes: Sequence[str],
    description: str = "",
    origin: ModelVersion.Origin = ModelVersion.Origin.APP,
    artifact: str = "",
) -> ModelVersion:
    """Make a model version known; predictions name it. Its classes are some or all of the label schema's, in the order
    of the probabilities to come; of a rating all, in the order of the levels.

    The first version that an app registers is the model it has deployed, hence the champion. Locks the project.
    Raises InvalidInput `invalid_classes` or `unknown_class`, Conflict `model_version_exists`.
    """
    _validate_name(name)
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    _validate_classes(project, classes)  # under the lock, so that the schema they are of stays in force
    is_first = origin == ModelVersion.Origin.APP and selectors.champion(project) is None
    try:
        with transaction.atomic():
            return ModelVersion.objects.create(
                project=project,
                name=name,
                classes=list(classes),
                description=description,
                origin=origin,
                artifact=artifact,
                stage=ModelVersion.Stage.CHAMPION if is_first else ModelVersion.Stage.CANDIDATE,
            )
    except IntegrityError:
        raise Conflict(
            f"There is a model version “{name}” already.", code="model_version_exists", fields={"name": "taken"}
        ) from None


@transaction.atomic
def set_champion(model_version: ModelVersion, *, now: dt.datetime) -> None:
    """Make the version the champion, retire the one before, and give the pool its probabilities.

    Whether it deserves it is the caller's question. Locks the project and both versions, so predictions that arrive
    meanwhile wait and then see the new champion. Safe to run twice.
    """
    project = Project.objects.select_for_update(no_key=True).get(pk=model_version.project_id)
    champion_or_this = Q(stage=ModelVersion.Stage.CHAMPION) | Q(pk=model_version.pk)
    locked = (
        ModelVersion.objects.filter(champion_or_this, project=project).order_by("id").select_for_update(no_key=True)
    )
    others = [version.pk for version in locked if version != model_version]
    ModelVersion.objects.filter(pk__in=others).update(stage=ModelVersion.Stage.RETIRED)
    ModelVersion.objects.filter(pk=model_version.pk).update(stage=ModelVersion.Stage.CHAMPION)
    model_version.stage = ModelVersion.Stage.CHAMPION
    refresh_pool(project, model_version, now=now)
    news.tell(news.champion_changed, project_id=project.pk)


@transaction.atomic
def refresh_pool(project: Project, model_version: ModelVersion, *, now: dt.datetime | None = None) -> int:
    """Copy the version's predictions into the pool of its project; entries it did not predict become unscored.

    Returns the number of scored entries. Rows are locked in the order of item ids, as everybody does who locks several.
    """
    return score_arrays.refresh_pool(project.pk, model_version.pk, now or timezone.now())


def record_prediction_arrays(
    model_version: ModelVersion, *, item_ids: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> int:
    """Store what the version says of many items, for trainers: item_ids (n,), probabilities (n, C) in class order.

    A prediction that exists already is replaced. Chunks are committed one by one (unless the caller holds a
    transaction), and a champion's predictions reach the pool in the same chunk. Returns the number of rows stored;
    ids without an item in the project are passed over. Raises ValueError for rows that are no distributions, and where
    the label schema asks for another form of prediction.
    """
    if selectors.parsed_schema(model_version.project).prediction_form != "distribution":
        raise ValueError("here a prediction is no distribution over classes")
    if probabilities.shape != (len(item_ids), len(model_version.classes)):
        raise ValueError(f"{len(item_ids)} items need {len(model_version.classes)} columns, not {probabilities.shape}")
    if len(np.unique(item_ids)) != len(item_ids):
        raise ValueError("an item is named twice")
    project = model_version.project
    stored = 0
    for start in range(0, len(item_ids), score_arrays.CHUNK_ROWS):
        chunk = slice(start, start + score_arrays.CHUNK_ROWS)
        with transaction.atomic():
            version = bulk.lock_versions(project, [model_version.name])[model_version.name]
            stored += score_arrays.store(
                version, item_ids[chunk], probability.validate(probabilities[chunk]), timezone.now()
            )
    return stored


def _validate_name(name: str) -> None:
    # It stands in addresses, between two slashes.
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable() or "/" in name:
        raise InvalidInput(
            f"A model version's name is one line of 1 to {_LONGEST_NAME} characters without a slash.",
            fields={"name": "not valid"},
        )


def _validate_classes(project: Project, classes: Sequence[str]) -> None:
    label_schema = selectors.parsed_schema(project)
    known = set(label_schema.class_keys)
    if not classes or len(set(classes)) != len(classes):
        raise InvalidInput(
            "Classes are one or more, each named once.", code="invalid_classes", fields={"classes": "empty or repeated"}
        )
    if unknown := [key for key in classes if key not in known]:
        raise InvalidInput(
            f"The label schema has no class “{unknown[0]}”.", code="unknown_class", fields={"classes": unknown[0]}
        )
    if isinstance(label_schema, Rating) and tuple(classes) != label_schema.class_keys:
        # How far apart two columns are is part of what a rating's probabilities say.
        raise InvalidInput(
            "A rating is predicted by all of its levels, in their order.",
            code="invalid_classes",
            fields={"classes": ", ".join(label_schema.class_keys)},
        )

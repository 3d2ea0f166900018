"""Projects with something to learn: items whose text tells the class, and labels of some of them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.contrib.auth.models import User

from datasets.services import accept
from labeling.models import AnnotationTask, Item, ModelVersion, Project
from labeling.services import intake
from tests.factories import datasets as make

NOW = make.NOW
CLASSES = ("cat", "dog", "bird")
_WORDS = {"cat": "purr whiskers mouse", "dog": "bark lead bone", "bird": "feather wing nest"}
_RESERVE_BUCKET, _TRAIN_BUCKET, _VALIDATION_BUCKET = 0, 5000, 1500


@dataclass(frozen=True)
class Pets:
    """The items of a project, with the class that each really has."""

    project: Project
    truth: Mapping[int, str]
    """By item id."""

    def ids(self) -> list[int]:
        return sorted(self.truth)


def text_of(label: str, number: int) -> str:
    words, turn = _WORDS[label].split(), number // len(CLASSES)
    return f"{words[turn % 3]} {words[(turn + 1) % 3]} number {number}"


def pets(
    project: Project, by: User, *, n_train: int = 24, n_audit: int = 12, n_unlabelled: int = 30, n_validation: int = 3
) -> Pets:
    """Items of three classes in turn: labelled for training, labelled by audit draws, and not labelled."""
    truth: dict[int, str] = {}
    parts = (("train", n_train), ("validation", n_validation), ("audit", n_audit), ("pool", n_unlabelled))
    for part, count in parts:
        for number in range(count):
            label = CLASSES[number % len(CLASSES)]
            bucket = {"audit": _RESERVE_BUCKET, "validation": _VALIDATION_BUCKET}.get(part, _TRAIN_BUCKET)
            key = f"{part}-{number:03d}"
            item = make.item(project, key, payload={"text": f"{text_of(label, number)} {key}"}, bucket=bucket)
            truth[item.pk] = label
            if part == "audit":
                audit_label(item, by, label)
            elif part != "pool":
                make.annotation(item, by, label)
    accept.accept_pending(project.pk, now=NOW)
    return Pets(project, truth)


def audit_label(item: Item, by: User, label: str) -> None:
    make.annotation(item, by, label, reason=AnnotationTask.Reason.AUDIT, is_audit=True, propensity=0.01)


def more_labels(project: Project, by: User, count: int, *, prefix: str = "more") -> None:
    """New training items, labelled and accepted."""
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        payload = {"text": text_of(label, number)}
        make.annotation(make.item(project, f"{prefix}-{number:03d}", payload=payload, bucket=_TRAIN_BUCKET), by, label)
    accept.accept_pending(project.pk, now=NOW)


def model_saying(
    project: Project,
    name: str,
    said: Mapping[int, str],
    *,
    classes: Sequence[str] = CLASSES,
    origin: ModelVersion.Origin = ModelVersion.Origin.APP,
) -> ModelVersion:
    """A model version that says these classes of these items, with probability 0.8. The first one is champion."""
    version = intake.register_model_version(project, name=name, classes=classes, origin=origin)
    ids = np.array(sorted(said), dtype=np.int64)
    probabilities = np.full((len(ids), len(classes)), 0.2 / max(len(classes) - 1, 1), dtype=np.float32)
    for row, item_id in enumerate(ids.tolist()):
        probabilities[row, list(classes).index(said[item_id])] = 0.8
    intake.record_prediction_arrays(version, item_ids=ids, probabilities=probabilities)
    return version


def wrong_about(truth: Mapping[int, str], item_ids: Sequence[int]) -> dict[int, str]:
    """The truth, but for these items the next class."""
    said = dict(truth)
    for item_id in item_ids:
        said[item_id] = CLASSES[(CLASSES.index(said[item_id]) + 1) % len(CLASSES)]
    return said


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)

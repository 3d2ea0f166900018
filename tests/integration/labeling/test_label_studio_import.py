"""A Label Studio export of each task type: predictions, annotations, skips and ground truth, intact and only once."""

import datetime as dt
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from datasets.models import AcceptedLabel, PendingEvidence, ReviewCase
from datasets.services import accept
from labeling.models import (
    Annotation,
    AnnotationTask,
    ImportJob,
    ImportRowError,
    Item,
    LabelSchema,
    Membership,
    ModelVersion,
    PoolEntry,
    Prediction,
    Project,
    Skip,
)
from labeling.services import imports

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
DATA = Path(__file__).parents[2] / "data" / "label_studio"
OPTIONS = {"key": "ext_id", "segments": ["lang"], "rename": {"text1": "a", "text2": "b"}}

DEFINITIONS: dict[str, dict[str, Any]] = {
    "single_choice": {"classes": [{"key": "delivery"}, {"key": "billing"}, {"key": "other"}]},
    "multi_label": {"classes": [{"key": "late"}, {"key": "refund"}, {"key": "damaged"}]},
    "rating": {},
    "text_correction": {},
    "preference": {},
    "spans": {"classes": [{"key": "ITEM"}, {"key": "MOOD"}]},
    "numeric": {"minimum": 0, "maximum": 100},
    "boxes": {"classes": [{"key": "car"}, {"key": "person"}]},
}
GOOD: dict[str, Any] = {
    "single_choice": {"choice": "delivery"},
    "multi_label": {"choices": ["late", "refund"]},
    "rating": {"rating": 4},
    "text_correction": {"text": "Parcel arrived late."},
    "preference": {"preference": "a"},
    "spans": {"spans": [{"start": 2, "end": 8, "class": "ITEM"}]},  # 3 to 9 in UTF-16: an emoji stands before it
    "numeric": {"number": 3.5},
    "boxes": {"boxes": [{"x": 0.1, "y": 0.05, "width": 0.2, "height": 0.085, "class": "car"}]},
}
OTHER: dict[str, Any] = {
    "single_choice": {"choice": "billing"},
    "multi_label": {"choices": ["damaged"]},
    "rating": {"rating": 2},
    "text_correction": {"text": "First line\nsecond line"},
    "preference": {"preference": "b"},
    "spans": {"spans": [{"start": 0, "end": 1, "class": "MOOD"}, {"start": 2, "end": 8, "class": "ITEM"}]},
    "numeric": {"number": 12.0},
    "boxes": {
        "boxes": [
            {"x": 0.5, "y": 0.5, "width": 0.5, "height": 0.5, "class": "person"},
            {"x": 0.0, "y": 0.0, "width": 0.1, "height": 0.1, "class": "car"},
        ]
    },
}
BAD: dict[str, str] = {
    "single_choice": "unknown_class",
    "multi_label": "unknown_class",
    "rating": "invalid_answer",
    "text_correction": "invalid_annotation",
    "preference": "invalid_answer",
    "spans": "invalid_span",
    "numeric": "invalid_answer",
    "boxes": "rotated_box",
}
KINDS = list(DEFINITIONS)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Settings) -> None:
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": options}


@pytest.fixture
def people(project: Project) -> dict[str, User]:
    """Two of those who labelled in Label Studio are members here, known by their e-mail."""
    people = {}
    for name, email in (("ann", "Ann@Example.org"), ("bob", "bob@example.org")):
        people[name] = User.objects.create_user(name, email=email)
        Membership.objects.create(project=project, user=people[name], role=Membership.Role.ANNOTATOR)
    return people


def take_over(project: Project, kind: str, by: User) -> ImportJob:
    project.label_schemas.filter(version__gt=1).delete()
    LabelSchema.objects.create(project=project, version=2, kind=kind, definition=DEFINITIONS[kind])
    return run(project, kind, by)


def run(project: Project, kind: str, by: User) -> ImportJob:
    path = DATA / f"{kind}.json"
    with path.open("rb") as content:
        job = imports.create(
            project,
            name=path.name,
            content=content,
            size=path.stat().st_size,
            by=by,
            now=NOW,
            options=OPTIONS,
        )
    done = imports.execute(job.pk)
    assert done is not None
    assert (done.state, done.format) == ("succeeded", "label_studio")
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_annotations_skips_and_ground_truth_come_through(
    kind: str, project: Project, owner: User, people: dict[str, User]
) -> None:
    job = take_over(project, kind, owner)
    counts = (job.created_count, job.updated_count, job.skipped_count, job.failed_count, job.annotation_count)
    assert counts == (6, 0, 0, 1, 8)
    told = [
        (each.item.key, each.annotator, each.answer, each.is_ground_truth, each.duration_ms)
        for each in Annotation.objects.select_related("item", "annotator").order_by("item__key", "pk")
    ]
    ann, bob, good, other = people["ann"], people["bob"], GOOD[kind], OTHER[kind]
    assert told == [
        ("t-1", ann, good, True, 3200),
        ("t-2", ann, good, False, 3200),
        ("t-2", bob, other, False, 12000),
        ("t-4", owner, good, False, 3200),  # a number is nobody that is known here
        ("t-7", owner, good, False, 3200),
        ("t-7", owner, other, False, 3200),
    ]
    assert {each.created_at for each in Annotation.objects.all()} == {
        dt.datetime(2026, 1, 5, 10, 4, 0, 123000, tzinfo=dt.UTC)
    }
    skips = Skip.objects.values_list("task__item__key", "annotator__username", "kind", "task__state")
    assert sorted(skips) == [("t-3", "bob", "someone_else", "withdrawn"), ("t-4", "ann", "someone_else", "answered")]
    tasks = AnnotationTask.objects.order_by("item__key", "pk").values_list(
        "item__key", "state", "reason", "answers_wanted", "answers_count"
    )
    assert list(tasks) == [
        ("t-1", "answered", "imported", 1, 1),
        ("t-2", "answered", "imported", 2, 2),
        ("t-3", "withdrawn", "imported", 1, 0),
        ("t-4", "answered", "imported", 1, 1),
        ("t-7", "answered", "imported", 1, 1),
        ("t-7", "answered", "imported", 1, 1),  # two statements of one person stand side by side
    ]
    states = dict(PoolEntry.objects.values_list("item__key", "state"))
    answered, available = PoolEntry.State.ANSWERED, PoolEntry.State.AVAILABLE
    assert states == {
        **dict.fromkeys(("t-1", "t-2", "t-4", "t-7"), answered),
        **dict.fromkeys(("t-3", "t-5"), available),
    }
    assert PendingEvidence.objects.filter(project=project).count() == 6


@pytest.mark.parametrize("kind", KINDS)
def test_payloads_segments_and_bad_rows_are_told(
    kind: str, project: Project, owner: User, people: dict[str, User]
) -> None:
    job = take_over(project, kind, owner)
    items = {item.key: item for item in Item.objects.all()}
    assert sorted(items) == ["t-1", "t-2", "t-3", "t-4", "t-5", "t-7"]
    assert items["t-1"].segments == {"lang": "en"}
    assert items["t-2"].segments == {"lang": "de"}
    assert items["t-1"].payload["ext_id"] == "t-1"
    (error,) = ImportRowError.objects.filter(job=job)
    assert (error.row, error.key, error.code) == (5, "t-6", BAD[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_come_through(kind: str, project: Project, owner: User, people: dict[str, User]) -> None:
    take_over(project, kind, owner)
    schema = project.label_schemas.get(version=2)
    versions = {version.name: version for version in ModelVersion.objects.filter(project=project)}
    assert sorted(versions) == ["clf-7", "clf-8"]
    said = {
        (each.item.key, each.model_version.name): each
        for each in Prediction.objects.select_related("item", "model_version")
    }
    assert sorted(said) == [
        ("t-1", "clf-7"),
        ("t-1", "clf-8"),
        ("t-2", "clf-7"),
        ("t-3", "clf-7"),
        ("t-5", "clf-7"),
    ]
    first = said["t-1", "clf-7"]
    if schema.kind in ("text_correction", "spans", "numeric", "boxes"):
        assert first.answer == GOOD[kind]
        assert said["t-1", "clf-8"].answer == OTHER[kind]
        assert first.confidence == pytest.approx(0.58)
        assert said["t-5", "clf-7"].confidence == pytest.approx(1.0)  # a model without a score is taken to be sure
        return
    probabilities = np.frombuffer(first.probabilities, "<f4")
    by_class = dict(zip(versions["clf-7"].classes, probabilities.tolist(), strict=True))
    if schema.kind == "multi_label":
        assert by_class == pytest.approx({"late": 0.58, "refund": 0.58, "damaged": 0.42})
        return
    label = {"single_choice": "delivery", "rating": "4", "preference": "a"}[kind]
    assert first.predicted_class == label
    assert by_class[label] == pytest.approx(0.58)
    assert len({round(value, 6) for name, value in by_class.items() if name != label}) == 1
    assert sum(by_class.values()) == pytest.approx(1.0)


def everything() -> list[Any]:
    models: list[Any] = [Item, PoolEntry, Prediction, ModelVersion, AnnotationTask, Annotation, Skip, PendingEvidence]
    return [list(model.objects.order_by("pk").values()) for model in models]


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_import_changes_nothing(kind: str, project: Project, owner: User, people: dict[str, User]) -> None:
    take_over(project, kind, owner)
    before = everything()
    again = run(project, kind, owner)
    assert everything() == before
    assert (again.created_count, again.skipped_count, again.failed_count, again.annotation_count) == (0, 6, 1, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_imported_answers_become_accepted_labels(
    kind: str, project: Project, owner: User, people: dict[str, User]
) -> None:
    take_over(project, kind, owner)
    accept.accept_pending(project.pk, now=NOW)
    labels = AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True)
    # What two people said of t-2 cannot be merged in these.
    torn = ["t-2"] if kind in ("multi_label", "text_correction", "boxes") else []
    assert sorted([*labels.values_list("item__key", flat=True), *torn]) == ["t-1", "t-2", "t-4", "t-7"]
    assert list(ReviewCase.objects.exclude(kind="flagged").values_list("item__key", flat=True)) == torn
    before = list(labels.order_by("pk").values())
    run(project, kind, owner)
    accept.accept_pending(project.pk, now=NOW)
    assert list(labels.order_by("pk").values()) == before


def test_answers_that_come_later_join_those_that_were_there(
    project: Project, owner: User, people: dict[str, User]
) -> None:
    """Of a second export: one answer more for an answered item, the first for one that was skipped."""
    take_over(project, "single_choice", owner)
    part = '{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": ["other"]}}'
    rows = [
        f'{{"data": {{"text": "x", "ext_id": "{key}"}}, "annotations": [{{"unique_id": "later-{key}", "result": [{part}],'
        f' "completed_by": {{"email": "bob@example.org"}}, "created_at": "2026-02-01T00:00:00Z"}}]}}'
        for key in ("t-1", "t-3")
    ]
    content = f"[{', '.join(rows)}]".encode()
    job = imports.create(
        project, name="later.json", content=io.BytesIO(content), size=len(content), by=owner, now=NOW, options=OPTIONS
    )
    imports.execute(job.pk)
    joined = AnnotationTask.objects.get(item__key="t-1")
    assert (joined.answers_count, joined.answers_wanted) == (2, 2)
    assert joined.closed_at == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    states = AnnotationTask.objects.filter(item__key="t-3").order_by("pk").values_list("state", "answers_count")
    assert list(states) == [("withdrawn", 0), ("answered", 1)]
    assert PoolEntry.objects.get(item__key="t-3").state == PoolEntry.State.ANSWERED

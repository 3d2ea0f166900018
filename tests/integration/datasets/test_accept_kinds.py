"""Beliefs from several answers to an item, and of every task type, down to the files of a snapshot."""

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from datasets import selectors
from datasets.models import AcceptedLabel, PendingEvidence
from datasets.services import accept, export, snapshot
from labeling.models import Annotation, AnnotationTask, Membership, Project
from labeling.services import annotation_queue, answers, queue_management
from tests.factories import kinds
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW


def say(project: Project, task: AnnotationTask, person: User, label: str) -> Annotation:
    assert task.pk in [held.pk for held in annotation_queue.claim(project, annotator=person, now=NOW, limit=10)]
    return annotation_queue.submit(task.pk, annotator=person, answer={"choice": label}, now=NOW)


def believed(project: Project) -> list[tuple[str, float, str]]:
    accept.accept_pending(project.pk, now=NOW)
    labels = AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True)
    assert not PendingEvidence.objects.filter(project=project).exists()
    return [(label.label, round(label.probability, 3), label.method) for label in labels]


@pytest.fixture
def task(project: Project) -> AnnotationTask:
    (made,) = make.queue(project, 1)
    return made


def test_of_several_answers_the_most_frequent_counts_once_all_are_there(
    project: Project, task: AnnotationTask, annotator: User, reviewer: User, manager: User
) -> None:
    queue_management.want_answers(project, [task.pk], answers_wanted=3, by=None, now=NOW)
    say(project, task, annotator, "cat")
    say(project, task, reviewer, "dog")
    assert believed(project) == []
    say(project, task, manager, "dog")
    assert believed(project) == [("dog", 0.667, "majority")]
    assert AcceptedLabel.objects.get().evidence.count() == 2


def test_of_a_tie_the_newest_counts(project: Project, task: AnnotationTask, annotator: User, reviewer: User) -> None:
    queue_management.want_answers(project, [task.pk], answers_wanted=2, by=None, now=NOW)
    say(project, task, annotator, "cat")
    say(project, task, reviewer, "dog")
    assert believed(project) == [("dog", 0.5, "majority")]


def test_answers_count_when_fewer_are_wanted_all_at_once(
    project: Project, task: AnnotationTask, annotator: User
) -> None:
    queue_management.want_answers(project, [task.pk], answers_wanted=3, by=None, now=NOW)
    say(project, task, annotator, "cat")
    assert believed(project) == []
    queue_management.want_answers(project, [task.pk], answers_wanted=1, by=None, now=NOW)
    assert believed(project) == [("cat", 1.0, "trusted_annotation")]


def test_a_label_that_is_asked_again_stands_until_the_new_answer(
    project: Project, task: AnnotationTask, annotator: User, reviewer: User
) -> None:
    say(project, task, annotator, "cat")
    assert believed(project) == [("cat", 1.0, "trusted_annotation")]
    queue_management.requeue(project, [task.item_id], by=None, now=NOW)
    assert believed(project) == [("cat", 1.0, "trusted_annotation")]
    say(project, AnnotationTask.objects.get(state="open"), reviewer, "dog")
    assert believed(project) == [("dog", 1.0, "trusted_annotation")]


def test_an_edit_replaces_the_label(project: Project, task: AnnotationTask, annotator: User) -> None:
    given = say(project, task, annotator, "cat")
    assert believed(project) == [("cat", 1.0, "trusted_annotation")]
    answers.edit(project, given.pk, by=annotator, answer={"choice": "bird"}, now=NOW + dt.timedelta(days=3))
    assert believed(project) == [("bird", 1.0, "trusted_annotation")]
    assert AcceptedLabel.objects.count() == 2


def test_ground_truth_wins_over_everybody(
    project: Project, task: AnnotationTask, annotator: User, reviewer: User
) -> None:
    queue_management.want_answers(project, [task.pk], answers_wanted=2, by=None, now=NOW)
    first = say(project, task, annotator, "cat")
    say(project, task, reviewer, "dog")
    Annotation.objects.filter(pk=first.pk).update(is_ground_truth=True)
    assert believed(project) == [("cat", 1.0, "ground_truth")]


# For each kind: an answer, the class it counts for, and the label as files hold it.
SAID: list[tuple[str, dict[str, Any], str, Any]] = [
    ("single_choice", {"choice": "place"}, "place", "place"),
    ("multi_label", {"choices": ["person", "place"]}, "", ["person", "place"]),
    ("rating", {"rating": 4}, "4", 4),
    ("text_correction", {"text": "Good day, how are you?"}, "", "Good day, how are you?"),
    ("preference", {"preference": "both_bad"}, "both_bad", "both_bad"),
    ("spans", {"spans": [{"start": 2, "end": 5, "class": "person"}]}, "", [{"start": 2, "end": 5, "class": "person"}]),
    ("numeric", {"number": 36.0}, "", 36.0),
    (
        "boxes",
        {"boxes": [{"x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5, "class": "place"}]},
        "",
        [{"x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5, "class": "place"}],
    ),
]


@pytest.mark.parametrize(("kind", "answer", "label", "value"), SAID, ids=[said[0] for said in SAID])
def test_a_label_of_every_kind_reaches_the_file(
    annotator: User, kind: str, answer: dict[str, Any], label: str, value: Any
) -> None:
    person = User.objects.create_user("labeller")
    project = kinds.project(kind, annotator=person)
    (task,) = annotation_queue.claim(project, annotator=person, now=NOW)
    annotation_queue.submit(task.pk, annotator=person, answer=answer, now=NOW)
    accept.accept_pending(project.pk, now=NOW)
    accepted = AcceptedLabel.objects.get(project=project)
    assert (accepted.label, accepted.answer) == (label, answer)

    taken = snapshot.take(project, by=None, now=NOW)
    (line,) = b"".join(export.prepare(taken).content).splitlines()
    assert json.loads(line)["label"] == value
    (row,) = csv.DictReader(io.StringIO(b"".join(export.prepare(taken, format_name="csv").content).decode()))
    assert (row["label"] if isinstance(value, str) else json.loads(row["label"])) == value
    assert taken.row_count == 1
    counted = {name for name, count in taken.class_counts.items() if count}
    assert counted == ({label} if label else set(value) if kind == "multi_label" else set())
    assert set(selectors.class_counts(project)) == counted


def test_a_snapshot_leaves_out_classes_that_the_schema_dropped(project: Project) -> None:
    person = User.objects.create_user("labeller")
    created = kinds.project("multi_label", annotator=person)
    Membership.objects.filter(project=created).update(role=Membership.Role.OWNER)
    for choices in (["person"], ["person", "place"]):
        (task,) = annotation_queue.claim(created, annotator=person, now=NOW)
        annotation_queue.submit(task.pk, annotator=person, answer={"choices": choices}, now=NOW)
    accept.accept_pending(created.pk, now=NOW)
    assert snapshot.take(created, by=None, now=NOW).row_count == 2
    schema = created.label_schemas.get()
    schema.definition = {"classes": [{"key": "person"}]}
    schema.pk, schema.version = None, 2
    schema.save(force_insert=True)
    taken = snapshot.take(created, by=None, now=NOW)
    assert (taken.row_count, taken.class_counts) == (1, {"person": 1})

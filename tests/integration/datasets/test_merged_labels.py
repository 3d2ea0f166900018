"""Three annotators answer one item of each kind: the label is what their answers amount to, or a reviewer decides."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User

from datasets.models import AcceptedLabel, ReviewCase
from datasets.services import accept, disagreements, export, pending, review, snapshot
from labeling import selectors
from labeling.models import Annotation, AnnotationTask, Membership, Project
from labeling.services import annotation_queue, answers, queue_management
from tests.factories import kinds
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW
LATER = NOW + dt.timedelta(hours=1)
People = Sequence[User]


@pytest.fixture
def people(db: None) -> People:
    return [User.objects.create_user(name) for name in ("Ada", "Bob", "Cleo")]


def asked(kind: str, people: People, **definition: Any) -> tuple[Project, AnnotationTask]:
    """A project of this kind, whose first item so many people are to answer."""
    project = kinds.project(
        kind, annotator=people[0], payloads=kinds.PAYLOADS[kind][:1], **{**kinds.DEFINITIONS[kind], **definition}
    )
    for person in people[1:]:
        Membership.objects.create(project=project, user=person, role=Membership.Role.REVIEWER)
    task = AnnotationTask.objects.get(project=project)
    queue_management.want_answers(project, [task.pk], answers_wanted=len(people), by=None, now=NOW)
    return project, task


def say(project: Project, task: AnnotationTask, people: People, said: Sequence[dict[str, Any]]) -> list[Annotation]:
    given = []
    for person, answer in zip(people, said, strict=True):
        annotation_queue.claim(project, annotator=person, now=NOW)
        given.append(annotation_queue.submit(task.pk, annotator=person, answer=answer, now=NOW))
    accept.accept_pending(project.pk, now=NOW)
    return given


def box(x: float, y: float, width: float, height: float) -> dict[str, Any]:
    return {"boxes": [{"x": x, "y": y, "width": width, "height": height, "class": "place"}]}


def span(start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end, "class": "person"}


# For each kind: what three people say, the label, its class, its probability, and who is behind it.
MERGED: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str, float, list[int]]] = {
    "multi_label": (
        [{"choices": ["person"]}, {"choices": ["person", "place"]}, {"choices": []}],
        {"choices": ["person"]},
        "",
        2 / 3,
        [0, 1],
    ),
    "rating": ([{"rating": 5}, {"rating": 3}, {"rating": 4}], {"rating": 4}, "4", 1.0, [0, 1, 2]),
    "text_correction": (
        [{"text": "Good day, how are you?"}, {"text": "Good day, how are you"}, {"text": "How do you do?"}],
        {"text": "Good day, how are you?"},
        "",
        2 / 3,
        [0, 1],
    ),
    "preference": ([{"preference": "a"}, {"preference": "b"}, {"preference": "tie"}], {"preference": "tie"}, "tie", 2 / 3, [0, 1, 2]),
    "spans": (
        [{"spans": [span(2, 5), span(10, 13)]}, {"spans": [span(2, 5)]}, {"spans": [span(2, 6), span(10, 13)]}],
        {"spans": [span(2, 5), span(10, 13)]},
        "",
        5 / 6,
        [0, 1, 2],
    ),
    "numeric": ([{"number": 35}, {"number": 36}, {"number": 37}], {"number": 36.0}, "", 1.0, [0, 1, 2]),
    "boxes": (
        [box(0.1, 0.1, 0.5, 0.5), box(0.1, 0.1, 0.5, 0.5), box(0.1, 0.1, 0.6, 0.5)],
        box(0.1, 0.1, 0.5, 0.5),
        "",
        1.0,
        [0, 1, 2],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MERGED)
def test_three_answers_become_one_label_that_reaches_the_file(people: People, kind: str) -> None:
    said, answer, label, probability, behind = MERGED[kind]
    project, task = asked(kind, people)
    given = say(project, task, people, said)
    accepted = AcceptedLabel.objects.get(project=project)
    assert (accepted.method, accepted.label, accepted.answer) == ("merged", label, answer)
    assert accepted.probability == pytest.approx(probability)
    assert set(accepted.evidence.all()) == {given[place] for place in behind}
    assert not ReviewCase.objects.exists()

    schema = selectors.parsed_schema(project)
    parsed = schema.parse_answer(accepted.answer)
    schema.check_against(parsed, task.item.payload)
    (line,) = b"".join(export.prepare(snapshot.take(project, by=None, now=NOW)).content).splitlines()
    assert json.loads(line)["label"] == parsed.value


@pytest.mark.parametrize("kind", MERGED)
def test_three_equal_answers_are_what_all_of_them_said(people: People, kind: str) -> None:
    project, task = asked(kind, people)
    say(project, task, people, [MERGED[kind][0][0]] * 3)
    accepted = AcceptedLabel.objects.get(project=project)
    assert (accepted.method, accepted.answer, accepted.probability) == ("majority", MERGED[kind][0][0], 1.0)


FAR_APART: dict[str, list[dict[str, Any]]] = {
    "multi_label": [{"choices": ["person"]}, {"choices": ["place"]}],
    "rating": [{"rating": 1}, {"rating": 3}, {"rating": 5}],
    "text_correction": [{"text": "Good day"}, {"text": "How are you?"}, {"text": "-"}],
    "spans": [{"spans": [span(2, 5)]}, {"spans": [span(10, 13)]}],
    "numeric": [{"number": 1}, {"number": 60}, {"number": 120}],
    "boxes": [box(0, 0, 0.2, 0.2), box(0.7, 0.7, 0.2, 0.2)],
}


@pytest.mark.parametrize("kind", FAR_APART)
def test_answers_too_far_apart_are_no_label_but_a_case_for_a_reviewer(people: People, kind: str) -> None:
    said = FAR_APART[kind]
    project, task = asked(kind, people[: len(said)])
    say(project, task, people[: len(said)], said)
    assert not AcceptedLabel.objects.exists()
    case = ReviewCase.objects.get()
    assert (case.item, case.kind, case.state) == (task.item, "disagreement", "open")
    assert case.value == pytest.approx({2: 0.6931, 3: 1.0986}[len(said)], abs=1e-4)
    accept.accept_pending(project.pk, now=LATER)
    assert disagreements.open_cases(project, now=LATER) == 0

    reviewer = people[1]
    review.decide(project, case.pk, by=reviewer, answer=said[0], now=LATER)
    accept.accept_pending(project.pk, now=LATER)
    accepted = AcceptedLabel.objects.get(project=project)
    assert (accepted.method, accepted.answer) == ("reviewed", said[0])


def test_a_label_falls_when_an_edit_moves_the_answers_too_far_apart(people: People) -> None:
    project, task = asked("rating", people[:2])
    _, second = say(project, task, people[:2], [{"rating": 2}, {"rating": 3}])
    assert AcceptedLabel.objects.get(superseded_at=None).answer == {"rating": 2}
    answers.edit(project, second.pk, by=people[1], answer={"rating": 5}, now=LATER)
    accept.accept_pending(project.pk, now=LATER)
    assert not AcceptedLabel.objects.filter(superseded_at=None).exists()
    assert ReviewCase.objects.get().item == task.item


def test_a_label_follows_an_answer_that_is_not_behind_it(people: People) -> None:
    extra = [*people, User.objects.create_user("Dan")]
    project, task = asked("numeric", extra)
    *_, last = say(project, task, extra, [{"number": 30}, {"number": 34}, {"number": 32}, {"number": 45}])
    before = AcceptedLabel.objects.get()
    answers.edit(project, last.pk, by=extra[-1], answer={"number": 20}, now=LATER)
    accept.accept_pending(project.pk, now=LATER)
    after = AcceptedLabel.objects.get(superseded_at=None)
    assert set(after.evidence.all()) == set(before.evidence.all())
    assert after.probability == before.probability == 0.75
    assert after.answer["number"] < before.answer["number"]


def test_accepting_again_keeps_a_merged_label(people: People) -> None:
    project, task = asked("boxes", people)
    say(project, task, people, MERGED["boxes"][0])
    pending.note_items(project, [task.item_id])
    assert accept.accept_pending(project.pk, now=LATER) == 0
    assert AcceptedLabel.objects.count() == 1


def test_merged_answers_that_agree_enough_are_no_disagreement(people: People) -> None:
    project, task = asked("rating", people)
    say(project, task, people, MERGED["rating"][0])
    assert disagreements.open_cases(project, now=LATER) == 0


def test_merged_answers_that_agree_too_little_are_brought_to_reviewers(people: People) -> None:
    project, task = asked("spans", people)
    say(project, task, people, MERGED["spans"][0])
    assert disagreements.open_cases(project, now=LATER) == 1
    assert ReviewCase.objects.get().detail == {"answers": 3, "merged_share": 0.8333}


def test_ground_truth_decides_alone_whatever_is_merged_otherwise(people: People) -> None:
    project, task = asked("rating", people)
    first, *_ = say(project, task, people, MERGED["rating"][0])
    Annotation.objects.filter(pk=first.pk).update(is_ground_truth=True)
    pending.note_items(project, [task.item_id])
    accept.accept_pending(project.pk, now=LATER)
    assert AcceptedLabel.objects.get(superseded_at=None).answer == {"rating": 5}

"""What annotators are told the model says, and why they are asked, for every kind of label schema."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from labeling import selectors, suggestion_arm
from labeling.models import AnnotationTask, Item, ModelVersion, PoolEntry, Project
from labeling.schema import JSONValue
from labeling.services import intake, projects
from labeling.services.recording import OnConflict

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
CLASSES: list[JSONValue] = [{"key": "a", "title": "Alpha"}, {"key": "b", "title": "Beta"}, {"key": "c"}]
PAYLOAD: dict[str, JSONValue] = {"text": "Mehl 200 g", "output": "Mehl", "a": "x", "b": "y", "image": "/media/1.png"}
SPANS: dict[str, JSONValue] = {"spans": [{"start": 0, "end": 4, "class": "a"}]}


def made(
    owner: User, kind: str, said: dict[str, Any], definition: dict[str, JSONValue] | None = None, count: int = 1
) -> Project:
    """A project with items of which the champion m1 said this, each with an open task."""
    default: dict[str, JSONValue] = {
        "rating": {"maximum": 3}, "text_correction": {}, "preference": {}, "numeric": {"minimum": 0, "maximum": 10},
    }.get(kind, {"classes": CLASSES})  # type: ignore[assignment]  # fmt: skip
    project = projects.create(slug="s", name="S", kind=kind, definition=definition or default, by=owner)
    projects.describe(project, blind_share=0.0)
    intake.register_model_version(project, name="m1", classes=selectors.parsed_schema(project).class_keys)
    rows = [
        {"key": str(number), "payload": PAYLOAD, "prediction": {"model_version": "m1", **said}}
        for number in range(count)
    ]
    report = intake.record_items(project, rows)
    assert report.created == count, report.results
    for item in Item.objects.filter(project=project):
        AnnotationTask.objects.create(project=project, item=item, reason=AnnotationTask.Reason.UNCERTAIN)
    return project


def tasks(project: Project) -> list[AnnotationTask]:
    return list(AnnotationTask.objects.filter(project=project).select_related("item__pool_entry").order_by("id"))


def suggestions(project: Project, found: list[AnnotationTask] | None = None) -> list[selectors.Suggestion]:
    found = tasks(project) if found is None else found
    by_task = selectors.suggestions_for(
        found, project=project, label_schema=selectors.parsed_schema(project), annotator_id=1
    )
    return list(by_task.values())


def why(project: Project, *, shows_suggestion: bool = True) -> str:
    return selectors.why(tasks(project)[0], selectors.parsed_schema(project), shows_suggestion=shows_suggestion)


SAID: list[tuple[str, dict[str, Any], JSONValue, float, str]] = [
    ("single_choice", {"probabilities": [0.25, 0.5, 0.25]}, {"choice": "b"}, 0.5, "torn between Beta (50%) and Alpha (25%)"),
    ("single_choice", {"probabilities": [0.0, 0.0, 1.0]}, {"choice": "c"}, 1.0, "The model says c (100%)"),
    ("multi_label", {"probabilities": [0.5, 1, 0]}, {"choices": ["a", "b"]}, 0.5, "doubts whether Alpha applies (50%)"),
    ("rating", {"probabilities": [0, 0.5, 0.5]}, {"rating": 2}, 0.5, "torn between 2 (50%) and 3 (50%)"),
    ("preference", {"probabilities": [0, 0, 0.25, 0.75]}, {"preference": "both_bad"}, 0.75, "Both are bad (75%)"),
    ("text_correction", {"answer": {"text": "Mehl"}, "confidence": 0.25}, {"text": "Mehl"}, 0.25, "a chance of 25%"),
    ("numeric", {"answer": {"number": 3}, "confidence": 0.5}, {"number": 3.0}, 0.5, "a chance of 50%"),
    ("spans", {"answer": SPANS, "confidence": 0.5}, SPANS, 0.5, "a chance of 50%"),
    ("boxes", {"answer": {"boxes": []}, "confidence": 0.5}, {"boxes": []}, 0.5, "a chance of 50%"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "said", "answer", "confidence", "reason"), SAID)
def test_the_models_answer_is_suggested_and_its_doubt_told(
    owner: User, kind: str, said: dict[str, Any], answer: JSONValue, confidence: float, reason: str
) -> None:
    project = made(owner, kind, said)
    (suggestion,) = suggestions(project)
    assert (suggestion.answer, suggestion.confidence, suggestion.model_version) == (answer, confidence, "m1")
    assert bool(suggestion.probabilities) == ("probabilities" in said)
    assert reason in why(project)


@pytest.mark.parametrize(("kind", "said"), [(kind, said) for kind, said, *_ in SAID])
def test_nothing_is_suggested_where_it_would_sway(owner: User, kind: str, said: dict[str, Any]) -> None:
    project = made(owner, kind, said)
    AnnotationTask.objects.update(is_audit=True)
    assert suggestions(project) == []
    assert "hidden" in why(project)
    AnnotationTask.objects.update(is_audit=False)
    project.shows_suggestions = False
    assert suggestions(project) == []
    hidden = why(project, shows_suggestion=False)
    assert "hidden" in hidden
    assert not any(word in hidden for word in ("%", "Alpha", "Beta"))


@pytest.mark.parametrize(("kind", "said"), [(kind, said) for kind, said, *_ in SAID])
def test_suggestions_of_many_tasks_cost_one_statement_at_most(owner: User, kind: str, said: dict[str, Any]) -> None:
    project = made(owner, kind, said, count=5)
    schema, found = selectors.parsed_schema(project), tasks(project)
    selectors.suggestions_for(found[:1], project=project, label_schema=schema, annotator_id=1)  # notes the version
    with CaptureQueriesContext(connection) as captured:
        assert len(selectors.suggestions_for(found, project=project, label_schema=schema, annotator_id=1)) == 5
        for task in found:
            selectors.why(task, schema)
    assert len(captured) == (0 if "probabilities" in said else 1)


def test_a_set_of_classes_that_the_schema_forbids_is_not_suggested(owner: User) -> None:
    definition: dict[str, JSONValue] = {"classes": CLASSES, "max_choices": 1}
    project = made(owner, "multi_label", {"probabilities": [0.9, 0.9, 0.1]}, definition)
    assert suggestions(project) == []


def test_an_answer_that_no_longer_fits_the_item_is_not_suggested(owner: User) -> None:
    project = made(owner, "spans", {"answer": SPANS, "confidence": 0.5})
    rows = [{"key": "0", "payload": {"text": "Me"}}]
    intake.record_items(project, rows, on_conflict=OnConflict.UPDATE)
    assert suggestions(project) == []


def test_an_answer_of_a_class_that_is_gone_is_not_suggested(owner: User) -> None:
    project = made(owner, "spans", {"answer": SPANS, "confidence": 0.5})
    projects.new_schema_version(project, definition={"classes": CLASSES[1:]}, by=owner)
    assert suggestions(project) == []


def test_of_the_classes_that_are_left_the_likeliest_is_suggested(owner: User) -> None:
    project = made(owner, "single_choice", {"probabilities": [0.5, 0.25, 0.25]})
    projects.new_schema_version(project, definition={"classes": [*CLASSES[1:], {"key": "new"}]}, by=owner)
    (suggestion,) = suggestions(project)
    assert (suggestion.answer, suggestion.confidence) == ({"choice": "b"}, 0.25)
    projects.new_schema_version(project, definition={"classes": [{"key": "new"}, {"key": "newer"}]}, by=owner)
    assert suggestions(project) == []


def test_another_versions_answer_is_not_suggested(owner: User) -> None:
    project = made(owner, "numeric", {"answer": {"number": 3}, "confidence": 0.5})
    intake.register_model_version(project, name="m2", classes=["correct"])
    row = {"key": "0", "model_version": "m2", "answer": {"number": 9}, "confidence": 1}
    assert intake.record_predictions(project, [row]).created == 1
    assert [suggestion.answer for suggestion in suggestions(project)] == [{"number": 3.0}]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("cold_start", "without asking a model"),
        ("random", "at random, whatever a model says"),
        ("manual", "by a person"),
        ("relabel", "Asked again"),
    ],
)
def test_other_reasons_say_nothing_of_the_model(owner: User, reason: str, words: str) -> None:
    project = made(owner, "single_choice", {"probabilities": [0.25, 0.5, 0.25]})
    AnnotationTask.objects.update(reason=reason)
    assert words in why(project)
    assert "Beta" not in why(project)


@pytest.mark.parametrize("has_champion", [True, False])
def test_what_a_surrogate_chose_is_not_put_down_to_the_champion(owner: User, has_champion: bool) -> None:
    said = {"probabilities": [0.25, 0.5, 0.25]}
    project = made(owner, "single_choice", said)
    if not has_champion:
        PoolEntry.objects.update(probabilities=None, model_version=None, scored_at=None)
        assert why(project) == "The model has said nothing about this item yet."
    AnnotationTask.objects.update(informativeness=0.7)
    assert why(project) == "A small model that learned from the labels so far is not sure about this item."
    AnnotationTask.objects.update(model_version=ModelVersion.objects.get())
    assert ("torn between Beta" in why(project)) is has_champion


@pytest.mark.parametrize(("kind", "said"), [(kind, said) for kind, said, *_ in SAID])
def test_a_blind_share_hides_the_suggestion_of_some_tasks_from_each_annotator(
    owner: User, kind: str, said: dict[str, Any]
) -> None:
    project = made(owner, kind, said, count=40)
    projects.describe(project, blind_share=0.5)
    schema, found = selectors.parsed_schema(project), tasks(project)
    shown = {
        annotator: set(selectors.suggestions_for(found, project=project, label_schema=schema, annotator_id=annotator))
        for annotator in (1, 2)
    }
    assert all(5 <= len(each) <= 35 for each in shown.values())
    assert shown[1] != shown[2]
    assert shown[1] == {task.pk for task in found if not suggestion_arm.is_blind(task.pk, 1, 0.5)}


def test_what_is_hidden_by_chance_is_not_sent_and_not_told(owner: User, api_client: APIClient) -> None:
    project = made(owner, "single_choice", {"probabilities": [0.25, 0.5, 0.25]})
    projects.describe(project, blind_share=1.0)
    api_client.force_login(owner)
    (task,) = api_client.post("/api/v1/projects/s/tasks/next").json()["tasks"]
    assert task["suggestion"] is None
    assert "hidden" in task["why"]
    assert not any(word in task["why"] for word in ("%", "Alpha", "Beta"))

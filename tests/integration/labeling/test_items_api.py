"""Items listed over HTTP with all that is known of them. Sending them is tested in test_intake."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from datasets.models import AcceptedLabel
from labeling import selectors
from labeling.models import AnnotationTask, Item, PoolEntry, Project
from labeling.services import intake
from labeling.splitting import is_in_audit_reserve, split_of
from tests.factories.labeling import item_row, model_version, other_project, prediction_part

URL = "/api/v1/projects/pets/items"
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def items(project: Project) -> list[Item]:
    """Thirty items; the champion says cat of the even ones, with growing confidence (of the first two it says dog)."""
    model_version(project, "m1")
    model_version(project, "m2")
    rows = []
    for number in range(30):
        row = item_row(f"{'even' if number % 2 == 0 else 'odd'}-{number:02}", segments={"parity": str(number % 2)})
        if number % 2 == 0:
            confidence = 0.4 + number / 60
            row["prediction"] = prediction_part(confidence, 0.9 - confidence, 0.1)
        rows.append(row)
    assert intake.record_items(project, rows).created == 30
    return list(Item.objects.order_by("id"))


def answered(project: Project, item: Item, label: str) -> AcceptedLabel:
    task = AnnotationTask.objects.create(
        project=project, item=item, state="answered", reason="audit", is_audit=True, propensity=0.5, closed_at=NOW
    )
    PoolEntry.objects.filter(item=item).update(state=PoolEntry.State.ANSWERED)
    return AcceptedLabel.objects.create(
        project=project, item=item, label_schema=selectors.current_schema(project), label=label, probability=1.0,
        answer={"choice": label}, method=AcceptedLabel.Method.TRUSTED_ANNOTATION, is_audit=True, reason=task.reason,
        propensity=0.5, change=AcceptedLabel.objects.count() + 1,
    )  # fmt: skip


def keys(client: APIClient, **filters: Any) -> list[str]:
    answer = client.get(URL, filters)
    assert answer.status_code == 200, answer.content
    return [row["key"] for row in answer.json()["results"]]


def test_an_item_shows_everything_known_of_it(app_client: APIClient, project: Project, items: list[Item]) -> None:
    label = answered(project, items[0], "dog")
    row = app_client.get(URL).json()["results"][0]
    task = AnnotationTask.objects.get()
    assert (row["id"], row["key"], row["payload"]) == (items[0].pk, "even-00", {"text": "text of even-00"})
    assert (row["segments"], row["state"]) == ({"parity": "0"}, "answered")
    assert (row["split"], row["is_audit"]) == (split_of(items[0].bucket), is_in_audit_reserve(items[0].bucket))
    assert row["prediction"] | {"created_at": ""} == {
        "model_version": "m1", "predicted_class": "dog", "answer": None, "confidence": pytest.approx(0.5),
        "probabilities": {"cat": 0.4, "dog": 0.5, "bird": 0.1}, "context": {}, "created_at": "",
    }  # fmt: skip
    assert (row["task"]["id"], row["task"]["state"], row["task"]["propensity"]) == (task.pk, "answered", 0.5)
    assert row["accepted_label"]["id"] == label.pk
    assert (row["accepted_label"]["label"], row["accepted_label"]["label_schema_version"]) == ("dog", 1)
    assert app_client.get(f"{URL}/{items[0].pk}").json() == row


def test_what_is_not_known_is_null(app_client: APIClient, items: list[Item]) -> None:
    row = app_client.get(f"{URL}/{items[1].pk}").json()
    assert (row["prediction"], row["task"], row["accepted_label"]) == (None, None, None)


def test_a_withdrawn_task_and_a_superseded_label_are_not_shown(
    app_client: APIClient, project: Project, items: list[Item]
) -> None:
    answered(project, items[1], "dog")
    AnnotationTask.objects.update(state="withdrawn")
    AcceptedLabel.objects.update(superseded_at=NOW)
    row = app_client.get(f"{URL}/{items[1].pk}").json()
    assert (row["task"], row["accepted_label"]) == (None, None)
    assert keys(app_client, label="dog") == []


def test_pages_follow_each_other_without_gap(app_client: APIClient, items: list[Item]) -> None:
    seen: list[str] = []
    url: str | None = f"{URL}?page_size=7&state=available"
    while url:
        page = app_client.get(url).json()
        assert len(page["results"]) <= 7
        seen += [row["key"] for row in page["results"]]
        url = page["next"]
    assert seen == [item.key for item in items]


def test_filters_narrow_the_list(app_client: APIClient, project: Project, items: list[Item]) -> None:
    answered(project, items[3], "bird")
    answered(project, items[4], "cat")
    every = [item.key for item in items]
    evens = every[::2]
    assert keys(app_client, state="answered") == ["odd-03", "even-04"]
    assert len(keys(app_client, state="available")) == 28
    assert keys(app_client, label="bird") == ["odd-03"]
    assert keys(app_client, key_prefix="odd-0") == [f"odd-0{number}" for number in (1, 3, 5, 7, 9)]
    assert keys(app_client, key_prefix="%") == []
    assert keys(app_client, predicted_class="bird") == []
    assert keys(app_client, predicted_class="dog") == evens[:2]
    assert keys(app_client, min_confidence=0.79) == evens[12:]
    assert keys(app_client, min_confidence=0.55, max_confidence=0.69, predicted_class="cat") == evens[5:9]
    audit = [item.key for item in items if is_in_audit_reserve(item.bucket)]
    assert keys(app_client, is_audit="true") == audit
    assert keys(app_client, is_audit="false") == [key for key in every if key not in audit]
    assert keys(app_client, state="answered", label="cat", key_prefix="even") == ["even-04"]


@pytest.mark.parametrize(
    "query",
    [
        "state=lost", "min_confidence=2", "min_confidence=high", "is_audit=perhaps", "key_prefix=%00", "label=a%00",
        f"predicted_class={'x' * 101}",
    ],
)  # fmt: skip
def test_filters_that_make_no_sense_are_refused(app_client: APIClient, items: list[Item], query: str) -> None:
    answer = app_client.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


@pytest.mark.parametrize(("cursor", "status"), [("nonsense", 404), ("cD1hYmM=", 400), ("cD0xJTAw", 400)])
def test_a_cursor_from_elsewhere_is_refused(app_client: APIClient, items: list[Item], cursor: str, status: int) -> None:
    """The last two are p=abc and p=1%00 in base 64."""
    assert app_client.get(URL, {"cursor": cursor}).status_code == status


def test_the_number_of_statements_does_not_grow_with_the_page(
    app_client: APIClient, project: Project, items: list[Item]
) -> None:
    for number, item in enumerate(items):
        answered(project, item, "cat" if number % 2 else "dog")
    app_client.get(URL)  # notes the use of the key
    statements = []
    for size in (1, 30):
        with CaptureQueriesContext(connection) as captured:
            assert len(app_client.get(URL, {"page_size": size}).json()["results"]) == size
        statements.append(len(captured))
    assert statements[0] == statements[1] <= 7


def test_a_project_without_a_model_lists_its_items(app_client: APIClient, project: Project) -> None:
    intake.record_items(project, [item_row("a")])
    assert app_client.get(URL).json()["results"][0]["prediction"] is None
    assert keys(app_client, predicted_class="cat") == []


def test_items_of_other_projects_are_not_found(app_client: APIClient, project: Project) -> None:
    elsewhere = other_project()
    intake.record_items(elsewhere, [item_row("theirs")])
    assert keys(app_client) == []
    answer = app_client.get(f"{URL}/{Item.objects.get().pk}")
    assert (answer.status_code, answer.json()["code"]) == (404, "item_not_found")
    assert app_client.get(f"{URL}/{10**30}").status_code == 404


@pytest.mark.parametrize("method", ["get", "head"])
def test_annotators_and_strangers_list_nothing(
    api_client: APIClient, annotator_client: APIClient, stranger: User, items: list[Item], method: str
) -> None:
    assert getattr(annotator_client, method)(URL).status_code == 403
    assert getattr(annotator_client, method)(f"{URL}/{items[0].pk}").status_code == 403
    api_client.force_login(stranger)
    assert getattr(api_client, method)(URL).status_code == 404

"""What changed of the labels since last time: complete, in order, and nothing twice."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from rest_framework.test import APIClient

from datasets.models import AcceptedLabel
from datasets.services import accept
from labeling.models import Annotation, Project
from tests.factories import datasets as make
from tests.integration.datasets.concurrency import in_another_session

URL = "/api/v1/projects/pets/labels/export"


def export(client: APIClient, since: int = 0, **query: Any) -> tuple[list[dict[str, Any]], int]:
    """The changes, and where to go on."""
    response = client.get(URL, {"since": since, **query})
    assert response.status_code == 200
    assert response["Content-Type"] == "application/x-ndjson"
    *lines, end = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert end["event"] == "end"
    return lines, end["next"]


def apply(known: dict[str, tuple[int, Any]], lines: list[dict[str, Any]]) -> None:
    """As a client does it."""
    for line in lines:
        if line["event"] == "accepted":
            known[line["item_key"]] = (line["id"], line["label"])
        elif known.get(line["item_key"], (0, None))[0] == line["id"]:
            del known[line["item_key"]]


def current(project: Project) -> dict[str, tuple[int, Any]]:
    labels = AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True).select_related("item")
    return {label.item.key: (label.pk, label.label) for label in labels}


@pytest.mark.django_db
def test_increments_add_up_to_what_is_believed(app_client: APIClient, project: Project, owner: User) -> None:
    known: dict[str, tuple[int, Any]] = {}
    since = 0

    def step(change: Callable[[], object]) -> None:
        nonlocal since
        change()
        accept.accept_pending(project.pk, now=make.NOW)
        lines, since = export(app_client, since)
        apply(known, lines)
        assert known == current(project)

    step(lambda: make.accepted(project, owner, {"a": "cat", "b": "dog", "c": "bird"}))
    step(lambda: None)
    item = make.item(project, "d")
    step(lambda: make.annotation(item, owner, "cat"))
    step(lambda: make.annotation(item, owner, "dog"))  # replaces
    newest = Annotation.objects.latest("id")
    step(lambda: Annotation.objects.filter(pk=newest.pk).update(withdrawn_at=make.NOW))  # back to cat
    step(lambda: Annotation.objects.filter(item=item).update(withdrawn_at=make.NOW))  # none
    assert "d" not in known
    everything: dict[str, tuple[int, Any]] = {}
    lines, end = export(app_client)
    apply(everything, lines)
    assert (everything, end) == (known, since)
    assert [line["seq"] for line in lines] == sorted(line["seq"] for line in lines)


@pytest.mark.django_db
def test_a_line_says_where_the_label_comes_from(app_client: APIClient, project: Project, owner: User) -> None:
    make.accepted(project, owner, {"a": "cat"})
    ((line,), _) = export(app_client, payload="1")
    label = AcceptedLabel.objects.get()
    assert line == {
        "seq": label.change,
        "event": "accepted",
        "id": label.pk,
        "item_key": "a",
        "label": "cat",
        "answer": {"choice": "cat"},
        "probability": 1.0,
        "method": "trusted_annotation",
        "is_audit": False,
        "reason": "uncertain",
        "propensity": 0.25,
        "accepted_at": "2026-03-01T12:00:00Z",
        "payload": {"text": "text of a"},
        "segments": {},
    }


@pytest.mark.django_db
def test_the_pages_of_an_export_join(
    app_client: APIClient, project: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.selectors._CHANGES_PER_READ", 2)
    make.accepted(project, owner, {f"item-{number}": "cat" for number in range(5)})
    lines, _ = export(app_client)
    assert [line["item_key"] for line in lines] == [f"item-{number}" for number in range(5)]


@pytest.mark.django_db
@pytest.mark.parametrize("since", ["-1", "soon", str(2**63)])
def test_a_mark_that_makes_no_sense_is_refused(app_client: APIClient, since: str) -> None:
    response = app_client.get(URL, {"since": since})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_input")


@pytest.mark.django_db
def test_the_export_is_for_those_who_may_read(annotator_client: APIClient, project: Project) -> None:
    assert annotator_client.get(URL).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_no_change_becomes_visible_behind_a_mark(app_client: APIClient, project: Project, owner: User) -> None:
    """Two sessions accept at once: the one that numbers its changes first is also seen first."""
    make.annotation(make.item(project, "first"), owner, "cat")

    def second() -> int:
        make.annotation(make.item(project, "second"), owner, "dog")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '300ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            accept.accept_pending(project.pk, now=make.NOW)
        return -1

    with transaction.atomic():
        assert accept.accept_pending(project.pk, now=make.NOW) == 1
        # The numbers of the open transaction are taken; nobody may commit higher ones before it.
        assert in_another_session(second) == -1
        assert in_another_session(lambda: export(app_client)) == ([], 0)
    lines, since = export(app_client)
    assert [line["item_key"] for line in lines] == ["first"]
    accept.accept_pending(project.pk, now=make.NOW)
    lines, _ = export(app_client, since)
    assert [line["item_key"] for line in lines] == ["second"]

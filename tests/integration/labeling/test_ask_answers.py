"""Single answers to asks over the API: what stands, filters, pages, roles, and the same as files."""

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from labeling import ask_answers
from labeling.models import Ask, Feedback, Project
from labeling.services import feedback, respondents
from tests.factories import asks
from tests.factories.asks import KRR, tell
from tests.factories.labeling import other_project

pytestmark = pytest.mark.django_db

URL = "/api/v1/projects/pets/answers"
CORRECTED: dict[str, Any] = {"is_right": False, "correction": {"choice": "cat"}}


def listed(client: APIClient, **filters: Any) -> list[dict[str, Any]]:
    answer = client.get(URL, filters)
    assert answer.status_code == 200, answer.json()
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


@pytest.fixture(autouse=True)
def no_earlier_requests() -> None:
    asks.forget_rates()


@pytest.fixture
def said(project: Project) -> Project:
    """A correction by user-1, a thumb by user-2, a private thumb by user-3, and a blind correction by user-4."""
    corrected = asks.ask(project, "correction", respondent="user-1", opportunity="corrected", segment="de")
    tell(APIClient(), corrected, "answered", answer={"is_right": False})
    tell(APIClient(), corrected, "answered", answer=CORRECTED, comment="<b>A cat</b>", duration_ms=1500)
    thumb = asks.ask(project, "thumbs", respondent="user-2", opportunity="thumb", is_audit=True)
    tell(APIClient(), thumb, "answered", answer={"thumb": "up"})
    private = asks.ask(
        project, respondent="user-3", opportunity="private", version=asks.question(project, key="mood", epsilon=1.0)
    )
    tell(APIClient(), private, "answered", answer={"thumb": "down"}, randomised=KRR)
    blind = asks.ask(project, "correction", respondent="user-4", opportunity="blind", is_blind=True)
    tell(APIClient(), blind, "answered", answer={"correction": {"choice": "dog"}})
    asks.ask(project, "thumbs", respondent="user-5", opportunity="open")
    dismissed = asks.ask(project, "thumbs", respondent="user-6", opportunity="dismissed")
    tell(APIClient(), dismissed, "dismissed")
    return project


def test_an_answer_comes_with_what_it_is_about(said: Project, app_client: APIClient) -> None:
    feedback.record_feedback(
        said, [{"id": "late", "kind": "thumb", "value": "up", "ask_id": Ask.objects.earliest("pk").pk}]
    )
    rows = listed(app_client)
    assert [row["question"] for row in rows] == ["correction", "mood", "thumbs", "correction"], "the newest ask first"
    row = rows[-1]
    assert row.pop("shown_at") <= row.pop("answered_at")
    assert row == {
        "id": Ask.objects.get(opportunity_id="corrected").pk, "question": "correction", "question_version": 1,
        "kind": "correction", "key": "a", "model_version": "m1", "predicted_answer": {"choice": "dog"},
        "is_blind": False, "is_audit": False, "propensity": 0.5, "segment": "de",
        "respondent_hash": asks.hash_of(said, "user-1"), "opinion": "thumb", "value": "down", "score": 0.0,
        "correction": {"choice": "cat"}, "comment": "<b>A cat</b>", "is_randomised": False, "epsilon": None,
        "duration_ms": 1500,
    }  # fmt: skip


def test_a_private_answer_is_said_to_be_randomised(said: Project, app_client: APIClient) -> None:
    (row,) = listed(app_client, question="mood")
    assert (row["value"], row["is_randomised"], row["epsilon"]) == ("down", True, 1.0)
    assert (row["comment"], row["duration_ms"]) == ("", None)


@pytest.mark.parametrize(
    ("filters", "opportunities"),
    [
        ({"question": "thumbs"}, {"thumb"}),
        ({"question": "correction", "version": 1}, {"corrected", "blind"}),
        ({"version": 2}, set()),
        ({"model_version": "m1"}, {"corrected", "thumb", "private", "blind"}),
        ({"arm": "blind"}, {"blind"}),
        ({"arm": "shown", "question": "correction"}, {"corrected"}),
        ({"drawn_by": "audit"}, {"thumb"}),
        ({"drawn_by": "policy", "question": "thumbs"}, set()),
        ({"respondent_hash": "0" * 64}, set()),
    ],
)
def test_filters(said: Project, app_client: APIClient, filters: dict[str, Any], opportunities: set[str]) -> None:
    ids = {row["id"] for row in listed(app_client, **filters)}
    assert set(Ask.objects.filter(pk__in=ids).values_list("opportunity_id", flat=True)) == opportunities


def test_the_answers_of_one_respondent(said: Project, app_client: APIClient) -> None:
    rows = listed(app_client, respondent_hash=asks.hash_of(said, "user-4"))
    assert [(row["correction"], row["opinion"], row["is_blind"]) for row in rows] == [({"choice": "dog"}, "", True)]


def test_times_are_of_the_answer_and_the_end_is_exclusive(said: Project, app_client: APIClient) -> None:
    at = timezone.now() - dt.timedelta(days=3)
    Ask.objects.filter(opportunity_id="thumb").update(answered_at=at)
    hour = dt.timedelta(hours=1)
    assert len(listed(app_client, since=at.isoformat(), until=(at + hour).isoformat())) == 1
    assert listed(app_client, since=(at - hour).isoformat(), until=at.isoformat()) == []
    assert len(listed(app_client, since=(at + hour).isoformat())) == 3


def test_pages_go_on_by_cursor(said: Project, app_client: APIClient) -> None:
    first = app_client.get(URL, {"page_size": 3}).json()
    second = app_client.get(first["next"]).json()
    ids = [row["id"] for row in first["results"] + second["results"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(set(ids)), second["next"]) == (4, None)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?question=none", "unknown_question"),
        ("?model_version=none", "unknown_model_version"),
        ("?arm=left", "invalid_input"),
        ("?version=x", "invalid_input"),
        ("?version=99999999999999999999", "invalid_input"),
        ("?since=yesterday", "invalid_input"),
        ("?respondent_hash=user-1", "invalid_input"),
        ("?cursor=nonsense", "not_found"),
    ],
)
def test_bad_filters_are_refused(said: Project, app_client: APIClient, query: str, code: str) -> None:
    answer = app_client.get(URL + query)
    assert (answer.status_code, answer.json()["code"]) == (404 if code == "not_found" else 400, code)
    if "cursor" not in query:
        assert app_client.get(f"{URL}/export{query}").json()["code"] == code


def test_what_was_deleted_is_an_answer_without_words(said: Project, app_client: APIClient) -> None:
    respondents.erase(said, "user-1")
    (row,) = [row for row in listed(app_client, question="correction") if not row["is_blind"]]
    assert (row["opinion"], row["value"], row["correction"], row["comment"]) == ("", None, None, "")
    assert (row["respondent_hash"], row["propensity"]) == ("", 0.5)


def test_a_page_may_put_anything_where_the_duration_stands(said: Project, app_client: APIClient) -> None:
    Feedback.objects.update(context={"duration_ms": "soon"})
    assert {row["duration_ms"] for row in listed(app_client)} == {None}


def test_another_projects_answers_are_not_among_them(said: Project, app_client: APIClient) -> None:
    elsewhere = other_project()
    theirs = asks.ask(elsewhere, "thumbs")
    tell(APIClient(), theirs, "answered", answer={"thumb": "up"})
    assert theirs.pk not in {row["id"] for row in listed(app_client)}


def exported(client: APIClient, **filters: Any) -> tuple[Any, bytes]:
    answer: Any = client.get(f"{URL}/export", filters)
    assert answer.status_code == 200
    return answer, b"".join(answer.streaming_content)


def test_the_file_has_the_same_rows_by_id(
    said: Project, app_client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask_answers, "_CHUNK", 3)
    answer, content = exported(app_client)
    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["Content-Disposition"] == 'attachment; filename="pets-answers.jsonl"'
    assert [json.loads(line) for line in content.splitlines()] == listed(app_client)[::-1]
    _, of_one = exported(app_client, question="mood")
    assert len(of_one.splitlines()) == 1


def test_csv_has_the_same_columns(said: Project, app_client: APIClient) -> None:
    answer, content = exported(app_client, export_format="csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    as_json = listed(app_client)[::-1]
    assert list(rows[0]) == list(as_json[0])
    for row, same in zip(rows, as_json, strict=True):
        assert json.loads(row["predicted_answer"]) == same["predicted_answer"]
        assert (json.loads(row["correction"]) if row["correction"] else None) == same["correction"]
        assert (row["comment"], row["answered_at"], row["is_blind"]) == (
            same["comment"], same["answered_at"], json.dumps(same["is_blind"]),
        )  # fmt: skip
        assert float(row["propensity"]) == same["propensity"]
        assert row["epsilon"] == ("1.0" if same["is_randomised"] else "")


def test_an_unknown_format_is_refused(said: Project, app_client: APIClient) -> None:
    answer = app_client.get(f"{URL}/export?export_format=xlsx")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_export_format")


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("manager", 200), ("reviewer", 200), ("annotator", 403), ("stranger", 404)]
)
def test_who_may_read(request: pytest.FixtureRequest, said: Project, role: str, status: int) -> None:
    client = APIClient()
    client.force_login(request.getfixturevalue(role))
    assert client.get(URL).status_code == client.get(f"{URL}/export").status_code == status


def test_a_publishable_key_reads_nothing(said: Project) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {asks.publishable(said)}", HTTP_ORIGIN=asks.PAGE)
    assert client.get(URL).status_code == client.get(f"{URL}/export").status_code == 403

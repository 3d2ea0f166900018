"""Questions over HTTP: made, worded anew, paused, resumed and ended."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.errors import InvalidInput
from labeling.models import Project, Question, QuestionVersion
from labeling.services import questions
from labeling.services.questions import Wording
from tests.factories import asks
from tests.factories.kinds import project as project_of_kind
from tests.factories.labeling import other_project

URL = "/api/v1/projects/pets/questions"
THUMBS: dict[str, Any] = {"key": "helpful", "kind": "thumbs", "definition": {"text": {"en": "Was this helpful?"}}}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_a_question_is_made_listed_and_read(app_client: APIClient) -> None:
    made = app_client.post(
        URL,
        {**THUMBS, "objective": "Whether to show answers at all.", "target_half_width": 0.05, "epsilon": 1.0},
        format="json",
    )
    assert made.status_code == 201
    assert made.json()["state"] == "live"
    newest = made.json()["newest"]
    assert (newest["version"], newest["kind"], newest["epsilon"], newest["target_half_width"]) == (
        1,
        "thumbs",
        1.0,
        0.05,
    )
    assert newest["definition"] == THUMBS["definition"]
    listed = app_client.get(URL).json()["results"]
    assert [(each["key"], each["newest"]["version"]) for each in listed] == [("helpful", 1)]
    assert app_client.get(f"{URL}/helpful").json()["versions"] == [newest]


def test_a_new_wording_is_a_new_version_and_keeps_the_rest(app_client: APIClient) -> None:
    app_client.post(URL, {**THUMBS, "target_answers": 100}, format="json")
    changed = app_client.patch(f"{URL}/helpful", {"definition": {"text": {"en": "Helpful?"}}}, format="json").json()
    assert [version["version"] for version in changed["versions"]] == [2, 1]
    assert (changed["newest"]["target_answers"], changed["newest"]["definition"]["text"]["en"]) == (100, "Helpful?")
    same = app_client.patch(f"{URL}/helpful", {"definition": {"text": {"en": "Helpful?"}, "help": {}}}, format="json")
    assert len(same.json()["versions"]) == 2
    assert app_client.get(URL).json()["results"][0]["newest"]["version"] == 2


def test_a_question_is_paused_resumed_and_ended(app_client: APIClient) -> None:
    app_client.post(URL, THUMBS, format="json")
    for state, reason in (("paused", ""), ("live", ""), ("ended", "Enough of it"), ("ended", "Enough of it")):
        answer = app_client.patch(f"{URL}/helpful", {"state": state, "reason": "Enough of it"}, format="json")
        assert (answer.json()["state"], answer.json()["ended_reason"]) == (state, reason)
    both = {"state": "paused", "definition": {"text": {"en": "Helpful?"}}}
    assert code(app_client.patch(f"{URL}/helpful", both, format="json")) == (409, "question_ended")
    assert app_client.patch(f"{URL}/helpful", {"state": "live"}, format="json").json()["ended_reason"] == ""
    assert QuestionVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "essay"}, "invalid_input"),
        ({"key": "not a slug"}, "invalid_input"),
        ({"definition": {}}, "invalid_question"),
        ({"definition": None}, "invalid_input"),
        ({"definition": {"text": {"en": ""}}}, "invalid_question"),
        ({"definition": {"text": {"en": "?"}, "colour": "red"}}, "invalid_question"),
        ({"definition": {"text": {"en": "?"}, "comment": True}, "epsilon": 1.0}, "not_private"),
        ({"epsilon": 9.0}, "not_private"),
        ({"kind": "text", "epsilon": 1.0}, "not_private"),
        ({"target_half_width": 0.5}, "invalid_objective"),
        ({"target_half_width": 1e-9}, "invalid_objective"),
        ({"target_answers": 0}, "invalid_input"),
        ({"target_answer": 5}, "invalid_input"),
        ({"target_answers": 10**9}, "invalid_objective"),
        ({"deadline": "soon"}, "invalid_input"),
    ],
)
def test_what_cannot_be_asked_is_refused(app_client: APIClient, changes: dict[str, Any], expected: str) -> None:
    assert code(app_client.post(URL, {**THUMBS, **changes}, format="json")) == (400, expected)
    assert not Question.objects.exists()
    app_client.post(URL, THUMBS, format="json")
    if not {"kind", "key"} & set(changes):
        assert code(app_client.patch(f"{URL}/helpful", changes, format="json")) == (400, expected)
        assert QuestionVersion.objects.count() == 1


def test_a_key_is_taken_once(app_client: APIClient, project: Project) -> None:
    asks.question(other_project(), key="helpful")
    assert app_client.post(URL, THUMBS, format="json").status_code == 201
    assert code(app_client.post(URL, THUMBS, format="json")) == (409, "question_exists")
    assert code(app_client.get(f"{URL}/unknown")) == (404, "question_not_found")


def test_a_correction_fits_the_label_schema(annotator: User) -> None:
    spans = project_of_kind("spans", annotator=annotator)
    with pytest.raises(InvalidInput, match="cannot be asked in a project of kind spans"):
        questions.create(
            spans, key="right", kind="correction", wording=Wording(asks.DEFINITIONS["correction"]), by=None
        )
    assert not Question.objects.exists()


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("owner", 200, 201),
        ("manager", 200, 201),
        ("reviewer", 200, 403),
        ("annotator", 403, 403),
        ("stranger", 404, 404),
    ],
)
def test_who_reads_and_who_writes(
    request: pytest.FixtureRequest, project: Project, role: str, reads: int, writes: int
) -> None:
    client = APIClient()
    client.force_login(request.getfixturevalue(role))
    assert client.get(URL).status_code == reads
    assert client.post(URL, THUMBS, format="json").status_code == writes
    changed = client.patch(f"{URL}/helpful", {"state": "paused"}, format="json").status_code
    assert changed == (200 if writes == 201 else writes)
    assert Question.objects.count() == (writes == 201)

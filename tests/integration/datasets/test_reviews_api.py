"""/projects/{slug}/reviews over HTTP: what is listed, who may decide, and what the second reviewer is told."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from datasets.models import ReviewCase, ReviewDecision, SourceStanding
from labeling.models import Item, Project
from labeling.services import intake
from tests.factories import datasets as factory
from tests.factories import labeling as rows
from tests.factories.reviews import case, disputed

URL = "/api/v1/projects/pets/reviews"


@pytest.fixture
def item(project: Project, owner: User, annotator: User) -> Item:
    return disputed(project, "a", {owner: "cat", annotator: "dog"})


@pytest.fixture
def reviewer_client(reviewer: User) -> APIClient:
    client = APIClient()
    client.force_login(reviewer)
    return client


def test_cases_are_listed_by_state_kind_and_item(
    reviewer_client: APIClient, app_client: APIClient, project: Project, item: Item
) -> None:
    first = case(item, value=0.6931)
    other = case(factory.item(project, "b"), kind=ReviewCase.Kind.MANUAL)
    listed = reviewer_client.get(URL).json()["results"]
    assert [(each["id"], each["item_key"], each["kind"], each["value"]) for each in listed] == [
        (first.pk, "a", "disagreement", 0.6931),
        (other.pk, "b", "manual", 0.5),
    ]
    for query, expected in (
        ("?kind=manual", [other.pk]), ("?item_key=a", [first.pk]), ("?state=decided", []), ("?state=open&page_size=1", [first.pk]),
    ):  # fmt: skip
        assert [each["id"] for each in app_client.get(URL + query).json()["results"]] == expected
    refused = reviewer_client.get(f"{URL}?state=lost")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")


def test_a_page_of_cases_costs_as_many_statements_as_one_case(reviewer_client: APIClient, project: Project) -> None:
    counts = []
    for number in range(2):
        for each in range(3):
            case(factory.item(project, f"{number}-{each}"))
        with CaptureQueriesContext(connection) as captured:
            assert reviewer_client.get(URL).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_case_shows_all_evidence_and_the_suggestion_only_when_asked(
    reviewer_client: APIClient, project: Project, item: Item, annotator: User
) -> None:
    rows.model_version(project)
    intake.record_predictions(project, [rows.prediction_row("a", 0.2, 0.7, 0.1)])
    SourceStanding.objects.create(
        project=project, annotator=annotator, step="weight", weight=0.4, hits=6, misses=4, answers=11
    )
    made = case(item, kind=ReviewCase.Kind.LABEL_ERROR)
    ReviewCase.objects.update(detail={"score": 0.5, "suggested": "dog"})
    told = reviewer_client.get(f"{URL}/{made.pk}").json()
    assert [(said["who"], said["summary"], said["answer"]) for said in told["evidence"]] == [
        ("owner", "cat", {"choice": "cat"}),
        ("annotator", "dog", {"choice": "dog"}),
    ]
    reliability = told["evidence"][1]["reliability"]
    assert (reliability["share"], reliability["answers"], reliability["weight"]) == (0.6, 11, 0.4)
    assert reliability["step"] == "Counts less"
    assert (told["suggestion"], told["belief"], told["detail"]) == (None, None, {"score": 0.5})
    assert told["payload"] == item.payload
    asked = reviewer_client.get(f"{URL}/{made.pk}?suggestion=true").json()["suggestion"]
    assert asked == {"answer": {"choice": "dog"}, "confidence": 0.7, "model_version": "m1"}


def test_each_decision_is_given_and_listed_with_the_case(
    reviewer_client: APIClient, item: Item, project: Project
) -> None:
    address = f"{URL}/{case(item).pk}"
    given: list[tuple[dict[str, Any], str]] = [
        ({"action": "ambiguous", "comment": "Half hidden."}, "ambiguous"),
        ({"action": "reopen"}, "open"),
        (
            {"action": "gold", "answer": {"choice": "cat"}, "explanation": "Whiskers.", "saw_suggestion": True},
            "decided",
        ),
        ({"action": "reopen", "comment": "No."}, "open"),
        ({"action": "send_back", "comment": "Ears?"}, "sent_back"),
        ({"action": "reopen"}, "open"),
        ({"action": "decide", "answer": {"choice": "dog"}}, "decided"),
    ]
    for body, state in given:
        answer = reviewer_client.post(f"{address}/decisions", body, format="json")
        assert answer.status_code == 201, answer.content
        assert (answer.json()["action"], answer.json()["reviewer"]) == (body["action"], "reviewer")
        assert reviewer_client.get(address).json()["state"] == state
    told = reviewer_client.get(address).json()["decisions"]
    assert [each["action"] for each in told] == [body["action"] for body, _ in given]
    assert told[2]["saw_suggestion"] is True


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "decide"}, "invalid_answer"),
        ({"action": "decide", "answer": {"choice": "cow"}}, "unknown_class"),
        ({"action": "send_back"}, "comment_required"),
        ({"action": "ambiguous", "comment": "  "}, "comment_required"),
        ({"action": "open"}, "invalid_input"),
        ({"action": "dance"}, "invalid_input"),
        ({"action": "decide", "answer": {"choice": "cat"}, "comment": "x" * 2001}, "invalid_input"),
        ({}, "invalid_input"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_and_changes_nothing(
    reviewer_client: APIClient, item: Item, body: dict[str, Any], code: str
) -> None:
    answer = reviewer_client.post(f"{URL}/{case(item).pk}/decisions", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert ReviewCase.objects.get().state == ReviewCase.State.OPEN
    assert not ReviewDecision.objects.exists()


def test_the_second_decision_is_a_conflict_that_says_who_was_first(
    reviewer_client: APIClient, owner_client: APIClient, item: Item
) -> None:
    address = f"{URL}/{case(item).pk}/decisions"
    body = {"action": "decide", "answer": {"choice": "dog"}}
    assert owner_client.post(address, body, format="json").status_code == 201
    refused = reviewer_client.post(address, body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "review_closed")
    assert refused.json()["message"] == "owner was here first. Decided: dog."
    assert refused.json()["fields"]["decided_by"] == "owner"


def test_reviewers_claim_different_cases(
    reviewer_client: APIClient, owner_client: APIClient, item: Item, project: Project
) -> None:
    first, second = case(item, value=0.9), case(factory.item(project, "b"), value=0.1)
    assert owner_client.post(f"{URL}/next").json()["review"]["id"] == first.pk
    assert reviewer_client.post(f"{URL}/next").json()["review"]["id"] == second.pk
    assert reviewer_client.post(f"{URL}/next", {"kind": "flagged"}, format="json").json() == {"review": None}
    held = reviewer_client.post(f"{URL}/{first.pk}/claim")
    assert (held.status_code, held.json()["code"]) == (409, "review_claimed")
    assert owner_client.post(f"{URL}/{first.pk}/claim").json()["claimed_until"]
    assert reviewer_client.get(f"{URL}/{first.pk}").json()["claimed_by"] == "owner"


def test_an_item_is_sent_to_review_once(reviewer_client: APIClient, item: Item) -> None:
    made = reviewer_client.post(URL, {"item_key": "a", "comment": "Odd."}, format="json")
    again = reviewer_client.post(URL, {"item_key": "a"}, format="json")
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"]
    missing = reviewer_client.post(URL, {"item_key": "zzz"}, format="json")
    assert (missing.status_code, missing.json()["code"]) == (404, "item_not_found")


def test_only_people_who_may_review_change_a_case(
    item: Item, app_client: APIClient, annotator_client: APIClient, stranger: User
) -> None:
    made = case(item)
    outsider = APIClient()
    outsider.force_login(stranger)
    body = {"action": "decide", "answer": {"choice": "cat"}}
    for client, status in ((app_client, 403), (annotator_client, 403), (outsider, 404)):
        assert client.post(f"{URL}/{made.pk}/decisions", body, format="json").status_code == status
        assert client.post(f"{URL}/{made.pk}/claim").status_code == status
        assert client.post(f"{URL}/next").status_code == status
        assert client.post(URL, {"item_key": "a"}, format="json").status_code == status
    assert (annotator_client.get(URL).status_code, app_client.get(URL).status_code) == (403, 200)
    missing = app_client.get(f"{URL}/{made.pk + 1}")
    assert (missing.status_code, missing.json()["code"]) == (404, "review_not_found")
    assert ReviewCase.objects.get().claimed_by is None

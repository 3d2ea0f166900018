"""What is known of an end user: exported and erased; and the tasks that see to feedback."""

import datetime as dt
import json
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from feedbackproject import receivers
from labeling import news, tasks
from labeling.models import Ask, Feedback, Prediction, Project, Respondent
from labeling.services import feedback, respondents
from tests.factories import asks
from tests.factories.asks import tell
from tests.factories.labeling import other_project

URL = "/api/v1/projects/pets/respondents"


@pytest.fixture
def said(project: Project) -> Project:
    """user-1 and user-2 each answered an ask, sent a click, and had a prediction made for them."""
    asks.items(project, "a")
    for user in ("user-1", "user-2"):
        ask = asks.ask(project, "correction", respondent=user, opportunity=f"o-{user}", session_hash="ab" * 32)
        answer = {"is_right": False, "correction": {"choice": "cat"}}
        assert tell(APIClient(), ask, "answered", answer=answer, comment=f"I am {user}").status_code == 200
        tell(APIClient(), ask, "answered", answer=answer, comment=f"I am {user} again")
        click = {"id": f"c-{user}", "kind": "click", "key": "a", "respondent": user, "context": {"ip": user}}
        feedback.record_feedback(project, [click])
    Prediction.objects.update(respondent_hash=asks.hash_of(project, "user-1"))
    return project


def everything() -> str:
    tables: list[list[dict[str, Any]]] = [list(model._default_manager.values()) for model in respondents.tables()]
    return str(tables)


def test_all_tables_that_know_respondents_take_part() -> None:
    names = {model.__name__ for model in respondents.tables()}
    assert {"Respondent", "Ask", "Feedback", "Correction", "Prediction", "AskDecision"} <= names


def test_an_export_holds_all_of_one_and_nothing_of_others(said: Project, app_client: APIClient) -> None:
    answer = app_client.get(f"{URL}/user-1/export")
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    rows = answer.json()["rows"]
    counts = {name: len(found) for name, found in rows.items() if found}
    assert counts == {"respondent": 1, "ask": 1, "feedback": 3, "correction": 2, "prediction": 1}
    assert {row["comment"] for row in rows["feedback"]} == {"I am user-1", "I am user-1 again", ""}
    assert "user-2" not in json.dumps(rows)
    assert asks.hash_of(said, "user-1") not in json.dumps(rows)


def test_an_erased_respondent_is_gone_and_others_stay(said: Project, app_client: APIClient) -> None:
    answer = app_client.delete(f"{URL}/user-1")
    assert answer.status_code == 200
    assert answer.json()["deleted"] == {"feedback": 3, "correction": 2, "respondent": 1, "sourcestanding": 0}
    assert {name: count for name, count in answer.json()["blanked"].items() if count} == {"ask": 1, "prediction": 1}
    left = everything()
    assert "I am user-1" not in left
    assert asks.hash_of(said, "user-1") not in left
    assert left.count("I am user-2") == 2
    ask = Ask.objects.get(opportunity_id="o-user-1")
    assert (ask.state, ask.respondent_hash, ask.session_hash, ask.propensity) == ("answered", "", "", 0.5)
    assert Feedback.objects.count() == 3
    again = app_client.delete(f"{URL}/user-1").json()
    assert not any(again["deleted"].values())
    assert not any(again["blanked"].values())
    assert not any(app_client.get(f"{URL}/user-1/export").json()["rows"].values())


def test_the_same_person_in_another_project_stays(said: Project) -> None:
    elsewhere = other_project()
    asks.items(elsewhere, "a")
    feedback.record_feedback(elsewhere, [{"id": "x", "kind": "click", "key": "a", "respondent": "user-1"}])
    respondents.erase(said, "user-1")
    assert Feedback.objects.filter(project=elsewhere).count() == 1


def test_ids_may_look_like_addresses(project: Project, app_client: APIClient) -> None:
    asks.items(project, "a")
    name = "mailto:ann/bob@example.org?x"
    feedback.record_feedback(project, [{"id": "x", "kind": "thumb", "value": "up", "key": "a", "respondent": name}])
    address = f"{URL}/mailto:ann/bob@example.org%3Fx"
    assert len(app_client.get(f"{address}/export").json()["rows"]["feedback"]) == 1
    assert app_client.delete(address).json()["deleted"]["feedback"] == 1
    assert app_client.delete(f"{URL}/{'x' * 501}").status_code == 400


def test_who_is_known_by_an_earlier_key_is_found(project: Project) -> None:
    asks.items(project, "a")
    row = {"id": "x", "kind": "thumb", "value": "up", "key": "a", "respondent": "user-1"}
    with override_settings(RESPONDENT_KEY="the old key"):
        feedback.record_feedback(project, [row])
    assert not respondents.export(project, "user-1")["feedback"]
    with override_settings(RESPONDENT_KEY_FALLBACKS=["the old key"]):
        assert len(respondents.export(project, "user-1")["feedback"]) == 1
        assert respondents.erase(project, "user-1").deleted["feedback"] == 1


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("manager", 403), ("reviewer", 403), ("annotator", 403), ("stranger", 404)]
)
def test_who_may_export_and_erase(request: pytest.FixtureRequest, said: Project, role: str, status: int) -> None:
    client = APIClient()
    client.force_login(request.getfixturevalue(role))
    assert client.get(f"{URL}/user-1/export").status_code == status
    assert client.delete(f"{URL}/user-1").status_code == status
    assert Respondent.objects.count() == (1 if status == 200 else 2)


# -- tasks ------------------------------------------------------------------------------------------------------------


def test_the_sweeps_expire_join_and_forget_and_may_run_twice(project: Project) -> None:
    feedback.record_feedback(project, [{"id": "x", "kind": "click", "key": "a"}])
    ask = asks.ask(project, now=timezone.now() - dt.timedelta(days=2))
    for task in (tasks.sweep_asks, tasks.sweep_feedback, tasks.join_old_feedback, tasks.forget_old_feedback) * 2:
        task()
    ask.refresh_from_db()
    assert ask.state == "expired"
    assert Feedback.objects.get().item_id == ask.item_id


def test_what_comes_in_wakes_the_join_if_anything_waits(
    project: Project, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[tuple[str, int]] = []
    monkeypatch.setattr(receivers, "wake_soon", lambda name, project_id: woken.append((name, project_id)))
    with django_capture_on_commit_callbacks(execute=True):
        asks.items(project, "b")
    assert not woken
    feedback.record_feedback(project, [{"id": "x", "kind": "click", "key": "a"}])
    with django_capture_on_commit_callbacks(execute=True):
        asks.items(project, "a")
    assert woken == [("labeling.join_feedback", project.pk)]
    tasks.join_feedback(project.pk)
    assert not Feedback.objects.get().is_waiting


def test_feedback_is_told_after_commit(project: Project, django_capture_on_commit_callbacks: Any) -> None:
    told: list[int] = []

    def hear(sender: object, *, project_id: int, **kwargs: Any) -> None:
        told.append(project_id)

    news.feedback_recorded.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            row = {"id": "x", "kind": "click", "key": "a"}
            feedback.record_feedback(project, [row])
        with django_capture_on_commit_callbacks(execute=True):
            feedback.record_feedback(project, [row])
    finally:
        news.feedback_recorded.disconnect(hear)
    assert told == [project.pk]

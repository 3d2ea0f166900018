"""What is deleted and blanked with age: by the installation's settings and the project's policy, in batches, with a trail."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from labeling import tasks
from labeling.errors import InvalidInput
from labeling.models import Ask, Correction, Feedback, Prediction, Project, Respondent, RetentionPolicy, RetentionRun
from labeling.services import feedback, respondents, retention, retention_policies
from tests.factories import asks
from tests.factories.asks import tell
from tests.factories.labeling import other_project

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def no_earlier_requests() -> None:
    asks.forget_rates()


@pytest.fixture
def said(project: Project) -> Project:
    """user-1 and user-2 each answered an ask twice, with a comment, sent a click, and had a prediction made for them."""
    asks.items(project, "a")
    for user in ("user-1", "user-2"):
        ask = asks.ask(project, "correction", respondent=user, opportunity=f"o-{user}", session_hash="ab" * 32)
        answer = {"is_right": False, "correction": {"choice": "cat"}}
        for words in (f"I am {user}", f"I am {user} again"):
            assert tell(APIClient(), ask, "answered", answer=answer, comment=words).status_code == 200
        click = {"id": f"c-{user}", "kind": "click", "key": "a", "respondent": user, "context": {"ip": user}}
        feedback.record_feedback(project, [click])
    Prediction.objects.update(respondent_hash=asks.hash_of(project, "user-1"))
    return project


def everything() -> str:
    tables: list[list[dict[str, Any]]] = [list(model._default_manager.values()) for model in respondents.tables()]
    return str(tables)


def aged(days: float, **filters: Any) -> None:
    """Make what was said so old at NOW."""
    for model in (Feedback, Correction):
        model._default_manager.filter(**filters).update(received_at=NOW - days * DAY)


def test_by_default_nothing_is_forgotten(said: Project) -> None:
    before = everything()
    assert retention.apply(said, now=timezone.now() + 10_000 * DAY) == {}
    assert everything() == before
    assert not RetentionRun.objects.exists()


def test_the_installation_deletes_old_feedback_and_corrections_stay(said: Project) -> None:
    aged(31)
    newest = Feedback.objects.filter(supersedes__isnull=False).latest("id")
    Feedback.objects.filter(pk=newest.pk).update(received_at=NOW - 29 * DAY)
    with override_settings(FEEDBACK_KEEP_DAYS=30):
        assert retention.apply(said, now=NOW) == {"opinion_days": 3, "behaviour_days": 2}
        assert retention.apply(said, now=NOW) == {}
    newest.refresh_from_db()
    assert newest.supersedes_id is None
    assert Correction.objects.count() == 4
    run = RetentionRun.objects.get()
    assert (run.policy, run.days) == (None, {"opinion_days": 30, "behaviour_days": 30})


def test_the_installation_blanks_old_respondents_and_their_rows_stay(
    said: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    with override_settings(RESPONDENT_KEEP_DAYS=30):
        assert retention.apply(said, now=timezone.now() + 29 * DAY) == {}
        later = timezone.now() + 31 * DAY
        comments = 4
        assert retention.apply(said, now=later) == {"respondent_days": 6 + 4 + 2 + 1 + comments}
        assert retention.apply(said, now=later) == {}
    assert (Feedback.objects.count(), Correction.objects.count(), Ask.objects.count()) == (6, 4, 2)
    assert "I am" not in everything()
    assert Feedback.objects.exclude(respondent_hash="").count() == 0
    assert Respondent.objects.count() == 2


def test_a_project_shortens_what_the_installation_keeps(said: Project) -> None:
    aged(10)
    retention_policies.new_version(said, by=None, behaviour_days=7)
    with override_settings(FEEDBACK_KEEP_DAYS=30):
        assert retention.apply(said, now=NOW) == {"behaviour_days": 2}
        assert set(Feedback.objects.values_list("kind", flat=True)) == {"thumb"}
        assert retention.apply(said, now=NOW + 21 * DAY) == {"opinion_days": 4}
    assert [run.counts for run in RetentionRun.objects.all()] == [{"opinion_days": 4}, {"behaviour_days": 2}]
    assert {run.policy.version for run in RetentionRun.objects.all() if run.policy} == {1}


def test_a_project_never_exceeds_the_installation(said: Project) -> None:
    retention_policies.new_version(said, by=None, opinion_days=90)
    aged(31)
    with override_settings(FEEDBACK_KEEP_DAYS=30):
        with pytest.raises(InvalidInput) as refused:
            retention_policies.new_version(said, by=None, opinion_days=31, behaviour_days=90, decision_days=90)
        assert refused.value.code == "invalid_policy"
        assert set(refused.value.fields) == {"opinion_days", "behaviour_days"}
        # One that was saved before the installation's setting gives way to it.
        assert retention.apply(said, now=NOW) == {"opinion_days": 4, "behaviour_days": 2}
        retention_policies.new_version(said, by=None, behaviour_days=20)
    assert RetentionPolicy.objects.count() == 2


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_days_are_in_range(project: Project, days: int) -> None:
    with pytest.raises(InvalidInput):
        retention_policies.new_version(project, by=None, text_days=days)
    assert not RetentionPolicy.objects.exists()


def test_another_project_keeps_its_own(said: Project) -> None:
    elsewhere = other_project()
    asks.items(elsewhere, "a")
    feedback.record_feedback(elsewhere, [{"id": "x", "kind": "click", "key": "a", "respondent": "user-1"}])
    aged(10)
    retention_policies.new_version(said, by=None, behaviour_days=7, respondent_days=7)
    retention.apply(said, now=NOW)
    assert Feedback.objects.filter(project=elsewhere).exclude(respondent_hash="").count() == 1


def test_old_comments_and_free_texts_are_blanked_and_that_they_were_said_stays(said: Project) -> None:
    text, survey = (asks.ask(said, kind, opportunity=kind, version=version) for kind, version in (
        ("text", asks.question(said, "text")),
        ("survey", asks.question(said, "survey", steps=[
            {"key": "s1", "kind": "rating", "text": {"en": "How?"}},
            {"key": "s2", "kind": "text", "text": {"en": "Why?"}},
        ])),
    ))  # fmt: skip
    tell(APIClient(), text, "answered", answer={"text": "I am user-1"})
    tell(APIClient(), survey, "answered", answer={"answers": {"s1": {"rating": 4}, "s2": {"text": "I am user-1"}}})
    only_text = asks.ask(said, "survey", opportunity="survey-2")
    tell(APIClient(), only_text, "answered", answer={"answers": {"s2": {"text": "I am user-1"}}})
    aged(8)
    before = Feedback.objects.count()
    retention_policies.new_version(said, by=None, text_days=7)
    assert retention.apply(said, now=NOW) == {"text_days": 4 + 1 + 2}
    assert retention.apply(said, now=NOW) == {}
    assert "I am" not in everything()
    assert Feedback.objects.count() == before
    assert [each.value for each in Feedback.objects.filter(kind="survey").order_by("id")] == [{"s1": {"rating": 4}}, {}]
    assert Feedback.objects.get(kind="text").value is None
    assert Feedback.objects.exclude(respondent_hash="").exists()


def test_respondents_not_seen_go_but_for_those_whom_their_row_protects(project: Project) -> None:
    old, soon = NOW - 100 * DAY, NOW + 10 * DAY
    kept: list[dict[str, Any]] = [
        {"opted_out_until": soon},
        {"is_blocked": True},
        {"epsilon_spent": 0.5},
        {"created_at": NOW - DAY},
    ]
    for number, fields in enumerate([*kept, {"opted_out_until": NOW - DAY}, {"right_count": 3}]):
        Respondent.objects.create(
            project=project, respondent_hash=f"{number}".ljust(64, "0"), **{"created_at": old, **fields}
        )
    for name, age in (("seen", 5), ("unseen", 50)):
        Respondent.objects.create(project=project, respondent_hash=asks.hash_of(project, name), created_at=old)
        asks.ask(project, respondent=name, opportunity=name, now=NOW - age * DAY)
    retention_policies.new_version(project, by=None, idle_respondent_days=30)
    assert retention.apply(project, now=NOW) == {"idle_respondent_days": 3}
    assert Respondent.objects.count() == len(kept) + 1
    assert Respondent.objects.filter(respondent_hash=asks.hash_of(project, "seen")).exists()


@pytest.mark.parametrize(
    "protects", [{"is_blocked": True}, {"epsilon_spent": 0.5}, {"opted_out_until": NOW + DAY}], ids=str
)
def test_a_respondent_whose_row_begins_to_protect_them_during_the_sweep_stays(
    project: Project, protects: dict[str, Any]
) -> None:
    for number in range(2):
        Respondent.objects.create(
            project=project, respondent_hash=f"{number}".ljust(64, "0"), created_at=NOW - 100 * DAY
        )
    policy = retention_policies.new_version(project, by=None, idle_respondent_days=30)
    (part,) = retention.due(policy, now=NOW)["idle_respondent_days"]
    ids = list(part.rows.values_list("pk", flat=True))
    Respondent.objects.filter(pk=ids[0]).update(**protects)
    assert part.act(ids) == 1
    assert Respondent.objects.get().pk == ids[0]


def test_a_killed_sweep_has_told_what_it_deleted_and_the_next_goes_on(
    said: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(10)
    monkeypatch.setattr(retention, "BATCH", 2)
    retention_policies.new_version(said, by=None, opinion_days=7, behaviour_days=7)
    delete, calls = respondents.delete_said, []

    def breaks_off(model: Any, ids: list[int]) -> int:
        calls.append(ids)
        if len(calls) == 2:
            raise OperationalError("the connection is gone")
        return delete(model, ids)

    monkeypatch.setattr(respondents, "delete_said", breaks_off)
    with pytest.raises(OperationalError):
        retention.apply(said, now=NOW)
    assert (Feedback.objects.count(), RetentionRun.objects.get().counts) == (4, {"opinion_days": 2})
    assert retention.apply(said, now=NOW) == {"opinion_days": 2, "behaviour_days": 2}
    assert not Feedback.objects.exists()


def test_the_task_goes_through_all_projects(said: Project) -> None:
    elsewhere = other_project()
    asks.items(elsewhere, "a")
    feedback.record_feedback(elsewhere, [{"id": "x", "kind": "click", "key": "a"}])
    Feedback.objects.update(received_at=timezone.now() - 10 * DAY)
    for project in (said, elsewhere):
        retention_policies.new_version(project, by=None, behaviour_days=7)
    for _ in range(2):
        tasks.forget_old_feedback()
    assert not Feedback.objects.filter(kind="click").exists()
    assert {run.project for run in RetentionRun.objects.all()} == {said, elsewhere}


def test_a_project_that_fails_does_not_stop_the_others(
    said: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other_project()
    apply, seen = retention.apply, []

    def fails(project: Project, *, now: dt.datetime) -> dict[str, int]:
        seen.append(project)
        if len(seen) == 1:
            raise ValueError("broken")
        return apply(project, now=now)

    monkeypatch.setattr(retention, "apply", fails)
    tasks.forget_old_feedback()
    assert set(seen) == set(Project.objects.all())
    assert "could not be forgotten" in caplog.text


def test_versions_count_without_gaps_and_nothing_new_is_no_version(project: Project, owner: User) -> None:
    first = retention_policies.new_version(project, by=owner, text_days=30)
    assert retention_policies.new_version(project, by=owner, text_days=30) == first
    second = retention_policies.new_version(project, by=owner, opinion_days=60)
    assert (second.version, second.text_days, second.opinion_days) == (2, 30, 60)
    assert retention_policies.new_version(project, by=owner, text_days=None).text_days is None

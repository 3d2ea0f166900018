"""Reviewers decide about sources: each decision is in the trail, two at once do not overwrite each other, a block shuts out."""

import datetime as dt
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from datasets.errors import OwnStanding, StandingChanged
from datasets.models import SourceDecision, SourceStanding
from datasets.services import standings
from datasets.services.standings import Action
from labeling.errors import DomainError, InvalidInput, NotAllowed
from labeling.models import Annotation, AnnotationTask, Membership, Project, Respondent
from labeling.services import annotation_queue, projects, respondents, retention
from labeling.services.annotation_queue import NewTask
from tests.factories import crowd
from tests.factories import sampling as factory
from tests.integration.datasets.concurrency import at_once

NOW = crowd.NOW
Step = SourceStanding.Step
URL = "/api/v1/projects/pets/sources"


@pytest.fixture
def doubted(project: Project, annotator: User) -> SourceStanding:
    found = SourceStanding.objects.create(
        project=project, annotator=annotator, step=Step.QUARANTINE, weight=0.0, answers=40, suspicion_nats=12.0,
        reasons=[{"family": "speed", "nats": 12.0, "text": "Too fast."}],
    )  # fmt: skip
    SourceDecision.objects.create(
        standing=found,
        step_before=Step.NONE,
        step_after=Step.QUARANTINE,
        weight_after=0.0,
        reasons=found.reasons,
        decided_at=NOW,
    )
    return found


def newest(of: SourceStanding) -> int | None:
    return of.decisions.values_list("pk", flat=True).first()


def decide(of: SourceStanding, action: Action, by: User, comment: str = "", **more: float) -> SourceStanding:
    return standings.decide(
        of.project, of.pk, action=action, by=by, now=NOW, last_decision_id=newest(of), comment=comment, **more
    )


@pytest.mark.parametrize(
    ("action", "step", "weight"),
    [
        (Action.RELEASE, Step.NONE, 1.0),
        (Action.KEEP, Step.QUARANTINE, 0.0),
        (Action.WEIGHT, Step.WEIGHT, 0.5),
        (Action.SHADOW_IGNORE, Step.SHADOW_IGNORE, 0.0),
        (Action.BLOCK, Step.BLOCK, 0.0),
    ],
)
def test_a_decision_sets_step_and_weight_and_is_in_the_trail(
    doubted: SourceStanding, reviewer: User, action: Action, step: Step, weight: float
) -> None:
    decide(doubted, action, reviewer, "Looked at it.")
    doubted.refresh_from_db()
    assert (doubted.step, doubted.weight, doubted.decided_by) == (step, weight, reviewer)
    assert (doubted.answers_when_decided, doubted.nats_when_decided) == (40, 12.0)
    trail = doubted.decisions.first()
    assert trail is not None
    assert (trail.step_before, trail.step_after, trail.weight_after) == (Step.QUARANTINE, step, weight)
    assert (trail.comment, trail.decided_by, trail.reasons) == ("Looked at it.", reviewer, doubted.reasons)


def test_the_second_of_two_reviewers_is_told_who_decided_and_when(
    doubted: SourceStanding, reviewer: User, manager: User
) -> None:
    seen = newest(doubted)
    decide(doubted, Action.RELEASE, manager)
    with pytest.raises(StandingChanged) as refusal:
        standings.decide(
            doubted.project, doubted.pk, action=Action.SHADOW_IGNORE, by=reviewer, now=NOW, last_decision_id=seen
        )
    assert "manager" in refusal.value.message
    assert "02 Mar 2026, 12:00" in refusal.value.message
    assert refusal.value.fields["step"] == Step.NONE
    doubted.refresh_from_db()
    assert doubted.step == Step.NONE
    assert doubted.decisions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_decisions_at_the_same_moment_one_wins(doubted: SourceStanding, reviewer: User, manager: User) -> None:
    seen = newest(doubted)

    def work(by: User, action: Action) -> str:
        try:
            standings.decide(doubted.project, doubted.pk, action=action, by=by, now=NOW, last_decision_id=seen)
        except StandingChanged:
            return "refused"
        return "decided"

    said = at_once([lambda: work(reviewer, Action.RELEASE), lambda: work(manager, Action.SHADOW_IGNORE)])
    assert sorted(said) == ["decided", "refused"]
    assert doubted.decisions.count() == 2


def test_who_did_not_see_the_trail_cannot_decide(doubted: SourceStanding, reviewer: User) -> None:
    with pytest.raises(StandingChanged, match="the examination"):
        standings.decide(
            doubted.project, doubted.pk, action=Action.RELEASE, by=reviewer, now=NOW, last_decision_id=None
        )


@pytest.mark.parametrize(
    ("action", "comment", "weight", "code"),
    [
        (Action.BLOCK, "  ", 0.5, "comment_required"),
        (Action.WEIGHT, "", 1.0, "invalid_weight"),
        (Action.WEIGHT, "", float("nan"), "invalid_weight"),
        (Action.KEEP, "x" * 2001, 0.5, "invalid_input"),
    ],
)
def test_a_decision_that_says_too_little_changes_nothing(
    doubted: SourceStanding, reviewer: User, action: Action, comment: str, weight: float, code: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        decide(doubted, action, reviewer, comment, weight=weight)
    assert refusal.value.code == code
    doubted.refresh_from_db()
    assert doubted.step == Step.QUARANTINE


def test_nobody_releases_themselves(doubted: SourceStanding, annotator: User) -> None:
    Membership.objects.filter(user=annotator).update(role=Membership.Role.REVIEWER)
    with pytest.raises(OwnStanding):
        decide(doubted, Action.RELEASE, annotator)
    doubted.refresh_from_db()
    assert doubted.step == Step.QUARANTINE


def test_a_reviewer_does_not_block_who_manages_the_project(
    doubted: SourceStanding, annotator: User, reviewer: User, owner: User
) -> None:
    Membership.objects.filter(user=annotator).update(role=Membership.Role.MANAGER)
    with pytest.raises(NotAllowed, match="manages"):
        decide(doubted, Action.BLOCK, reviewer, "No.")
    decide(doubted, Action.BLOCK, owner, "Yes.")


def test_who_is_blocked_gets_no_tasks_and_gives_no_answers_until_released(
    doubted: SourceStanding, project: Project, annotator: User, annotator_client: APIClient, reviewer: User
) -> None:
    items = factory.pool(project, 3)
    annotation_queue.enqueue(
        project, [factory.new_task(item, rank) for rank, item in enumerate(items)], batch=uuid4(), pool_size=3, now=NOW
    )
    base = "/api/v1/projects/pets/tasks"
    (task,) = annotator_client.post(f"{base}/next", {}, format="json").json()["tasks"]
    decide(doubted, Action.BLOCK, reviewer, "Guesses.")
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.BLOCKED
    for path, body in (
        ("next", {}),
        (f"{task['id']}/submit", {"answer": {"choice": "cat"}}),
        (f"{task['id']}/skip", {"kind": "later"}),
        ("undo", {}),
    ):
        refused = annotator_client.post(f"{base}/{path}", body, format="json")
        assert (refused.status_code, refused.json()["code"]) == (403, "blocked")
        assert "blocked" in refused.json()["message"]
    with pytest.raises(NotAllowed):
        annotation_queue.claim(project, annotator=annotator, now=NOW)
    assert not Annotation.objects.exists()
    assert AnnotationTask.objects.get(pk=task["id"]).leased_to is None
    decide(doubted, Action.RELEASE, reviewer)
    assert annotator_client.post(f"{base}/next", {}, format="json").status_code == 200
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.WORKING


def test_a_stage_does_not_lift_a_block(doubted: SourceStanding, project: Project, reviewer: User, owner: User) -> None:
    decide(doubted, Action.BLOCK, reviewer, "Guesses.")
    with pytest.raises(DomainError) as refusal:
        projects.set_stage(project, username="annotator", stage="working", by=owner, now=NOW)
    assert refusal.value.code == "member_blocked"


def test_quarantine_is_invisible_to_the_source(
    doubted: SourceStanding, project: Project, annotator_client: APIClient
) -> None:
    items = factory.pool(project, 1)
    tasks: list[NewTask] = [factory.new_task(items[0])]
    annotation_queue.enqueue(project, tasks, batch=uuid4(), pool_size=1, now=NOW)
    (task,) = annotator_client.post("/api/v1/projects/pets/tasks/next", {}, format="json").json()["tasks"]
    given = annotator_client.post(
        f"/api/v1/projects/pets/tasks/{task['id']}/submit", {"answer": {"choice": "cat"}}, format="json"
    )
    assert given.status_code == 201
    assert annotator_client.get(URL).status_code == 403


def test_a_blocked_respondent_is_asked_no_more(project: Project, reviewer: User) -> None:
    who = respondents.hashes_of(project, "u-1")[0]
    found = SourceStanding.objects.create(project=project, respondent_hash=who, step=Step.SHADOW_IGNORE, weight=0.0)
    standings.decide(
        project, found.pk, action=Action.BLOCK, by=reviewer, now=NOW, last_decision_id=None, comment="A script."
    )
    assert Respondent.objects.get(respondent_hash=who).is_blocked
    standings.decide(project, found.pk, action=Action.RELEASE, by=reviewer, now=NOW, last_decision_id=newest(found))
    assert not Respondent.objects.get(respondent_hash=who).is_blocked


def test_who_asks_to_be_forgotten_loses_their_standing_too(project: Project) -> None:
    who = respondents.hashes_of(project, "u-1")[0]
    found = SourceStanding.objects.create(project=project, respondent_hash=who, step=Step.QUARANTINE, weight=0.0)
    SourceDecision.objects.create(standing=found, step_before="none", step_after="quarantine", weight_after=0.0)
    assert "sourcestanding" in respondents.export(project, "u-1")
    assert respondents.erase(project, "u-1").deleted["sourcestanding"] == 1
    assert not SourceStanding.objects.exists()
    assert respondents.erase(project, "u-1").deleted["sourcestanding"] == 0


def test_standings_of_respondents_are_forgotten_with_age(project: Project, settings: object, annotator: User) -> None:
    settings.RESPONDENT_KEEP_DAYS = 30  # type: ignore[attr-defined]
    old = NOW - dt.timedelta(days=60)
    SourceStanding.objects.create(project=project, respondent_hash="a" * 64, changed_at=old)
    SourceStanding.objects.create(project=project, respondent_hash="b" * 64, changed_at=NOW)
    SourceStanding.objects.create(project=project, annotator=annotator, changed_at=old)
    retention.apply(project, now=NOW)
    assert set(SourceStanding.objects.values_list("respondent_hash", flat=True)) == {"", "b" * 64}


# -- over the API ------------------------------------------------------------------------------------------------


@pytest.fixture
def reviewer_client(reviewer: User) -> APIClient:
    client = APIClient()
    client.force_login(reviewer)
    return client


def test_sources_are_listed_by_step_with_what_a_decision_needs(
    doubted: SourceStanding, reviewer_client: APIClient, reviewer: User, project: Project
) -> None:
    SourceStanding.objects.create(project=project, annotator=reviewer)
    (found,) = reviewer_client.get(URL, {"step": "quarantine"}).json()["results"]
    assert (found["annotator"], found["step"], found["last_decision_id"]) == (
        "annotator",
        "quarantine",
        newest(doubted),
    )
    assert found["reasons"] == doubted.reasons
    assert len(reviewer_client.get(URL).json()["results"]) == 2
    assert reviewer_client.get(URL, {"step": "odd"}).status_code == 400


def test_a_decision_over_the_api_and_a_second_one_that_comes_too_late(
    doubted: SourceStanding, reviewer_client: APIClient
) -> None:
    url, seen = f"{URL}/{doubted.pk}/decisions", newest(doubted)
    body = {"action": "release", "last_decision_id": seen, "comment": "Fine."}
    answer = reviewer_client.post(url, body, format="json")
    assert (answer.status_code, answer.json()["step"], answer.json()["decided_by"]) == (201, "none", "reviewer")
    late = reviewer_client.post(url, body | {"action": "shadow_ignore"}, format="json")
    assert (late.status_code, late.json()["code"]) == (409, "standing_changed")
    assert late.json()["fields"]["decided_by"] == "reviewer"
    trail = reviewer_client.get(url).json()["results"]
    assert [each["step_after"] for each in trail] == ["none", "quarantine"]
    assert reviewer_client.post(url, {"action": "release"}, format="json").status_code == 400
    assert reviewer_client.post(f"{URL}/0/decisions", body, format="json").status_code == 404
    assert reviewer_client.get(f"{URL}/0/decisions").status_code == 404


def test_only_reviewers_see_and_decide(
    doubted: SourceStanding, annotator_client: APIClient, app_client: APIClient, stranger: User
) -> None:
    body = {"action": "release", "last_decision_id": newest(doubted)}
    other = APIClient()
    other.force_login(stranger)
    for client, status in ((annotator_client, 403), (app_client, 403), (other, 404)):
        assert client.get(URL).status_code == status
        assert client.post(f"{URL}/{doubted.pk}/decisions", body, format="json").status_code == status
    doubted.refresh_from_db()
    assert doubted.step == Step.QUARANTINE

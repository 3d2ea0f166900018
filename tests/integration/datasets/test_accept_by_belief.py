"""Labels of projects that go by the label model: what is accepted and what falls."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from rest_framework.test import APIClient

from datasets import selectors, tasks
from datasets.models import AcceptedLabel, BeliefRun, GoldItem, ItemBelief, PendingEvidence, PendingItem, Snapshot
from datasets.services import accept, beliefs, label_rows, snapshot
from datasets.services.pending import note_items
from feedbackproject import receivers
from labeling import selectors as labeling_selectors
from labeling import tasks as labeling_tasks
from labeling.models import Annotation, Correction, Item, PoolEntry, Project
from labeling.services import feedback, intake
from labeling.splitting import AUDIT_RESERVE_END
from tests.factories import beliefs as make
from tests.factories import datasets as facts
from tests.factories.beliefs import fresh, pool_state, rows, said_by_respondents
from tests.factories.labeling import item_row

NOW = facts.NOW
LATER = NOW + dt.timedelta(minutes=5)


def test_labels_are_accepted_with_run_probability_and_lineage(project: Project, crowd: list[Item]) -> None:
    label = make.label(crowd[3])
    assert label is not None
    belief = make.belief(crowd[3])
    assert (label.label, label.method, label.run) == ("cat", "label_model", BeliefRun.objects.get())
    assert label.probability == pytest.approx(belief.probability)
    assert set(label.evidence.all()) == set(Annotation.objects.filter(item=crowd[3]))
    assert (label.reason, label.propensity, label.is_audit) == ("uncertain", 0.25, False)
    assert (belief.action, belief.reason) == ("accept", "accepted")
    assert not PendingEvidence.objects.exists()


def test_running_twice_changes_nothing(project: Project, crowd: list[Item]) -> None:
    before = list(AcceptedLabel.objects.values())
    note_items(project, [item.pk for item in crowd])
    assert accept.accept_pending(project.pk, now=LATER) == 0
    assert list(AcceptedLabel.objects.values()) == before


def test_two_corrections_and_a_thumb_move_a_belief_until_it_is_accepted(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    for item in crowd[3:]:
        truth = make.belief(item).label
        make.correction(item, truth, by=f"{item.key}")
        make.feedback(item, "thumb", 1.0, by=f"{item.key}-2", about=truth)
    make.fitted(project)
    item = fresh(project)
    make.answers(item, {people[0]: "bird"})
    accept.accept_pending(project.pk, now=NOW)
    assert make.label(item) is None
    seen = [make.belief(item).probability]
    steps: list[Callable[[], object]] = [
        lambda: make.feedback(item, "thumb", 1.0, by="a", about="bird"),
        lambda: make.correction(item, "bird", by="b"),
        lambda: make.correction(item, "bird", by="c"),
    ]
    for step in steps:
        step()
        accept.accept_pending(project.pk, now=LATER)
        seen.append(make.belief(item).probability)
    assert seen == sorted(seen)
    label = make.label(item)
    assert label is not None
    assert label.label == "bird"
    assert set(label.other_evidence) == {"correction", "feedback"}
    assert len(label.other_evidence["correction"]) + len(label.other_evidence["feedback"]) <= 3


def test_a_late_contradiction_overturns_a_label_and_a_snapshot_stays(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    item = fresh(project)
    make.answers(item, {people[0]: "cat", people[1]: "cat"})
    accept.accept_pending(project.pk, now=NOW)
    assert rows(item) == [("cat", "label_model", True)]
    taken = snapshot.take(project, by=None, now=NOW)
    frozen = list(selectors.snapshot_rows(taken))

    for number in range(8):
        make.correction(item, "dog", by=f"user-{number}")
        accept.accept_pending(project.pk, now=LATER)
    make.answers(item, {people[2]: "dog", people[3]: "dog"})
    accept.accept_pending(project.pk, now=LATER)

    found = rows(item)
    assert found[0] == ("cat", "label_model", False)
    assert found[-1] == ("dog", "label_model", True)
    first = AcceptedLabel.objects.filter(item=item).order_by("pk")[0]
    assert first.superseded_at == LATER
    assert first.evidence.count() == 2
    assert list(selectors.snapshot_rows(Snapshot.objects.get(pk=taken.pk))) == frozen


def test_a_posterior_that_moved_by_a_hair_writes_no_row(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    item = crowd[3]
    before = rows(item)
    make.correction(item, "cat", by="ada")
    accept.accept_pending(project.pk, now=LATER)
    assert 0 < abs(make.belief(item).probability - AcceptedLabel.objects.get(item=item).probability) < 0.01
    assert rows(item) == before


def test_a_label_stands_while_its_posterior_wavers_around_the_threshold(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    item = fresh(project)
    make.answers(item, {people[0]: "cat", people[1]: "cat"})
    accept.accept_pending(project.pk, now=NOW)
    sure = make.belief(item).probability
    make.policy(project, threshold=min(1.0, sure + 0.02))
    accept.accept_pending(project.pk, now=LATER)
    assert (make.belief(item).action, make.belief(item).reason) == ("accept", "stands")
    assert rows(item) == [("cat", "label_model", True)]


def test_a_withdrawn_answer_takes_its_label_along(project: Project, crowd: list[Item], people: list[User]) -> None:
    item = fresh(project)
    said = make.answers(item, {people[0]: "cat", people[1]: "cat"})
    accept.accept_pending(project.pk, now=NOW)
    Annotation.objects.filter(pk__in=[each.pk for each in said]).update(withdrawn_at=LATER)
    assert accept.accept_pending(project.pk, now=LATER) == 1
    assert rows(item) == [("cat", "label_model", False)]
    assert not ItemBelief.objects.filter(item=item).exists()


def test_gold_is_the_truth_and_a_review_is_strong_evidence(
    project: Project, crowd: list[Item], people: list[User], reviewer: User
) -> None:
    schema = labeling_selectors.current_schema(project)
    GoldItem.objects.create(item=crowd[0], project=project, label_schema=schema, answer={"choice": "bird"})
    torn = fresh(project)
    make.answers(torn, {people[0]: "cat", people[1]: "dog"})
    made = make.decision(torn, reviewer, "dog")
    note_items(project, [crowd[0].pk, torn.pk])
    accept.accept_pending(project.pk, now=LATER)

    gold, reviewed = make.label(crowd[0]), make.label(torn)
    assert gold is not None
    assert (gold.label, gold.method, gold.probability, gold.run) == ("bird", "ground_truth", 1.0, None)
    assert reviewed is not None
    assert (reviewed.label, reviewed.method, reviewed.other_evidence) == ("dog", "reviewed", {"review": [made.pk]})
    assert 0.9 < reviewed.probability < 1.0

    make.decision(torn, reviewer, None, action="reopen")
    note_items(project, [torn.pk])
    accept.accept_pending(project.pk, now=LATER)
    assert make.label(torn) is None


# -- respondents alone -------------------------------------------------------------------------------------------------


def test_respondents_alone_decide_only_where_the_policy_lets_them(project: Project, crowd: list[Item]) -> None:
    item = fresh(project)
    said_by_respondents(item, "dog")
    accept.accept_pending(project.pk, now=NOW)
    assert (make.label(item), make.belief(item).reason) == (None, "enough_answers")
    make.policy(project, least_annotations=0)
    accept.accept_pending(project.pk, now=NOW)
    label = make.label(item)
    assert label is not None
    assert (label.reason, label.is_audit, label.propensity) == ("asked", False, None)
    assert label.evidence.count() == 0


def test_what_respondents_settled_leaves_the_pool_and_comes_back_with_doubt(
    project: Project, crowd: list[Item]
) -> None:
    make.policy(project, least_annotations=0)
    item = fresh(project)
    said_by_respondents(item, "dog")
    accept.accept_pending(project.pk, now=NOW)
    assert pool_state(item) == PoolEntry.State.ANSWERED
    Correction.objects.filter(item=item).update(superseded_at=LATER)
    accept.accept_pending(project.pk, now=LATER)
    assert make.label(item) is None
    assert pool_state(item) == PoolEntry.State.AVAILABLE


def test_the_audit_reserve_stays_to_be_drawn_and_respondents_make_no_audit_labels(
    project: Project, crowd: list[Item]
) -> None:
    make.policy(project, least_annotations=0)
    item = fresh(project, bucket=AUDIT_RESERVE_END - 1)
    said_by_respondents(item, "dog")
    accept.accept_pending(project.pk, now=NOW)
    assert make.label(item) is not None
    assert pool_state(item) == PoolEntry.State.AVAILABLE
    assert not selectors.audit_labels(project).filter(item=item).exists()


# -- what comes in by the API -------------------------------------------------------------------------------------------


def test_feedback_wakes_acceptance_and_counts_once_it_is_joined(
    project: Project, crowd: list[Item], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(receivers, "wake_soon", lambda name, project_id: woken.append(name))
    with django_capture_on_commit_callbacks(execute=True):
        row = {"id": "x", "kind": "correction", "key": "late", "value": {"choice": "dog"}, "respondent": "ada"}
        assert feedback.record_feedback(project, [row]).failed == 0
    assert receivers.ACCEPT_PENDING in woken
    assert not PendingItem.objects.exists()  # nobody knows yet what it is about
    intake.record_items(project, [item_row("late")])
    labeling_tasks.join_feedback(project.pk)
    item = Item.objects.get(key="late")
    assert list(PendingItem.objects.values_list("item_id", flat=True)) == [item.pk]
    accept.accept_pending(project.pk, now=NOW)
    assert (make.belief(item).label, make.belief(item).evidence_count) == ("dog", 1)


def test_labels_tell_their_lineage_by_the_api(project: Project, crowd: list[Item], app_client: APIClient) -> None:
    made = make.correction(crowd[4], "dog", by="ada")
    crowd[4].accepted_labels.update(probability=0.5)
    accept.accept_pending(project.pk, now=NOW)
    [told] = app_client.get(
        "/api/v1/projects/pets/labels", {"since_id": AcceptedLabel.objects.latest("pk").pk - 1}
    ).json()["results"]
    assert told["item_key"] == "crowd-4"
    assert (told["method"], told["run_id"]) == ("label_model", BeliefRun.objects.get().pk)
    assert told["other_evidence"] == {"correction": [made.pk]}
    assert len(told["evidence"]) == 3


# -- safety ------------------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_loses_nothing(project: Project, crowd: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    item = fresh(project)
    said_by_respondents(item, "dog")
    pending = PendingItem.objects.count()
    assert pending == 8
    record = label_rows.bring_up_to_date

    def dies(*args: object, **options: object) -> int:
        record(*args, **options)  # type: ignore[arg-type]  # handed through
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(label_rows, "bring_up_to_date", dies)
        with pytest.raises(RuntimeError), transaction.atomic():
            accept.accept_pending(project.pk, now=NOW)
    assert PendingItem.objects.count() == pending
    assert not ItemBelief.objects.filter(item=item).exists()
    accept.accept_pending(project.pk, now=NOW)
    assert make.belief(item).evidence_count == 8


def test_feedback_without_a_fit_stays_pending_and_the_tasks_bring_it_through(
    project: Project, people: list[User]
) -> None:
    make.crowd(project, people[:3], size=12)
    make.policy(project)
    tasks.accept_pending(project.pk)
    assert not AcceptedLabel.objects.exists()
    assert selectors.projects_with_anything_pending() == [project.pk]
    tasks.fit_beliefs(project.pk)
    tasks.sweep_acceptance()
    assert AcceptedLabel.objects.filter(superseded_at__isnull=True).count() > 8
    tasks.fit_beliefs(project.pk)
    assert BeliefRun.objects.count() == 1
    tasks.sweep_beliefs()


def test_trouble_of_one_project_does_not_stop_the_sweep(
    project: Project, crowd: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = fresh(project)
    make.correction(item, "dog", by="ada")
    monkeypatch.setattr(beliefs, "projects_by_label_model", lambda: [0, project.pk])
    accept_one = accept.accept_pending

    def fails_for_the_first(project_id: int, *, now: dt.datetime) -> int:
        if project_id == 0:
            raise RuntimeError("trouble")
        return accept_one(project_id, now=now)

    monkeypatch.setattr(accept, "accept_pending", fails_for_the_first)
    tasks.sweep_beliefs()
    assert ItemBelief.objects.filter(item=item).exists()


def test_what_is_pending_of_a_project_that_is_gone_is_forgotten(db: None) -> None:
    PendingItem.objects.create(project_id=999_999, item_id=1)
    assert accept.accept_pending(999_999, now=NOW) == 0
    assert not PendingItem.objects.exists()


def test_labels_follow_votes_again_after_the_switch_back(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    respondents_only = fresh(project)
    make.policy(project, least_annotations=0)
    said_by_respondents(respondents_only, "dog")
    accept.accept_pending(project.pk, now=NOW)
    assert make.label(respondents_only) is not None
    make.policy(project, method="votes")
    accept.accept_pending(project.pk, now=LATER)
    assert {label.method for label in selectors.current_labels(project)} == {"majority"}
    assert selectors.current_labels(project).count() == 30
    assert make.label(respondents_only) is None
    assert pool_state(respondents_only) == PoolEntry.State.AVAILABLE
    assert not ItemBelief.objects.exists()

"""Whether people follow what they see: from real tasks and asks, shown and blind."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from datasets.services import anchoring
from labeling.models import Annotation, AnnotationTask, Item, Project
from labeling.services import annotation_queue, intake, projects, queue_management
from labeling.suggestion_arm import is_blind
from sampling.services import ask_policies
from tests.factories import ask_log as log
from tests.factories import labeling as rows

SHARE = 0.4
ITEMS = 200


@pytest.fixture
def queued(project: Project) -> Project:
    """Items of two segments of which the champion says cat, each with an open task."""
    projects.describe(project, blind_share=SHARE)
    rows.model_version(project)
    intake.record_items(
        project,
        [
            rows.item_row(f"i{number}", segments={"country": "de" if number % 2 else "fr"}, prediction=rows.prediction_part(0.8, 0.1, 0.1))
            for number in range(ITEMS)
        ],
    )  # fmt: skip
    item_ids = list(Item.objects.filter(project=project).values_list("pk", flat=True))
    queue_management.requeue(project, item_ids, by=None, now=timezone.now())
    return project


def answer_all(project: Project, who: User, *, follows: bool) -> None:
    """Answer every task through the queue: what is seen is followed, or not; blind every second answer agrees."""
    blind_count = 0
    for task in AnnotationTask.objects.filter(project=project, state="open"):
        AnnotationTask.objects.filter(pk=task.pk).update(
            leased_to=who, lease_expires_at=annotation_queue.lease_end(timezone.now())
        )
        is_hidden = is_blind(task.pk, who.pk, project.blind_share)
        blind_count += is_hidden
        agrees = (blind_count % 2 == 0) if is_hidden else (follows or task.pk % 2 == 0)
        annotation_queue.submit(
            task.pk,
            annotator=who,
            answer={"choice": "cat" if agrees else "dog"},
            suggested_answer=None if is_hidden else {"choice": "cat"},
            now=timezone.now(),
        )


def test_annotators_who_follow_what_they_see_are_found_and_count_less(queued: Project, annotator: User) -> None:
    answer_all(queued, annotator, follows=True)
    found = anchoring.of_annotators(queued)
    overall = found.overall
    assert overall.shown + overall.blind == ITEMS
    assert overall.blind == pytest.approx(SHARE * ITEMS, abs=25)
    assert overall.effect.shown == 1.0
    assert overall.effect.blind == pytest.approx(0.5, abs=0.01)
    assert overall.weight == pytest.approx(overall.effect.blind)
    assert anchoring.anchored_weight(queued) == overall.weight
    assert [name for name, _ in found.by_person] == ["annotator"]
    assert {name for name, _ in found.by_segment} == {"country: de", "country: fr"}
    assert sum(tally.shown for _, tally in found.by_segment) == overall.shown


def test_annotators_who_do_not_follow_count_in_full(queued: Project, annotator: User) -> None:
    answer_all(queued, annotator, follows=False)
    overall = anchoring.of_annotators(queued).overall
    assert overall.effect.low < 0 < overall.effect.high
    assert anchoring.anchored_weight(queued) == 1.0


def test_small_arms_make_nothing_of_it(queued: Project, annotator: User) -> None:
    answer_all(queued, annotator, follows=True)
    Annotation.objects.filter(pk__in=list(Annotation.objects.values_list("pk", flat=True)[40:])).delete()
    overall = anchoring.of_annotators(queued).overall
    assert not overall.is_measured
    assert overall.weight == anchoring.anchored_weight(queued) == 1.0


def test_audit_tasks_are_in_neither_arm_nor_what_had_no_suggestion_to_hide(queued: Project, annotator: User) -> None:
    answer_all(queued, annotator, follows=True)
    before = anchoring.of_annotators(queued).overall
    AnnotationTask.objects.filter(item__key__in=["i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8"]).update(is_audit=True)
    after = anchoring.of_annotators(queued).overall
    assert before.shown + before.blind - after.shown - after.blind == 8
    queued.model_versions.all().delete()
    assert anchoring.of_annotators(queued).overall.blind == 0


def test_respondents_are_compared_by_blind_asks(project: Project) -> None:
    version = log.question(project)
    ask_policies.new_version(project, by=None, budget_asks=1000)
    for number in range(80):
        blind = number % 2 == 0
        made = log.decision(
            project, "selected", who=f"r{number}", asked=version, at=timezone.now(), fate="answered",
            is_blind=blind, predicted={"choice": "cat"}, propensity=0.5,
        )  # fmt: skip
        agrees = not blind or number % 4 == 0
        log.answered(made, thumb="" if blind else "up", truth={"choice": "cat" if agrees else "dog"})
    overall = anchoring.of_respondents(project).overall
    assert (overall.shown, overall.shown_agree, overall.blind, overall.blind_agree) == (40, 40, 40, 20)
    assert anchoring.anchored_weight(project) == pytest.approx(0.5)

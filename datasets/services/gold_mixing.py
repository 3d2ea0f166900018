"""Tests among annotators' work: gold items are mixed in, unasked for and unannounced, and train who is in training.

A task with the reason GOLD is assigned to one annotator. What it tells them of itself is copied from an ordinary task. Its
item stays answered in the pool: before, since its label is known, and after, whether it was answered or withdrawn.
"""

import datetime as dt
import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import connection, transaction

from datasets.consensus.source_quality.gold_rate import GoldTest, Verdict, gold_rate
from datasets.errors import GoldNotFound
from datasets.models import GoldItem
from labeling import access, locks, priority, selectors
from labeling.access import Capability
from labeling.locks import LockKind
from labeling.models import Annotation, AnnotationTask, LabelSchema, Membership, PoolEntry, Project
from labeling.schema import JSONValue
from labeling.services import projects

logger = logging.getLogger(__name__)

ACTIVE: Final = dt.timedelta(hours=24)
"""Who answered within it is at work."""
WITHDRAW_AFTER: Final = dt.timedelta(days=2)
TRAINING_AHEAD: Final = 3
"""So many tasks wait for somebody in training: as many as the labeling page holds."""
LONGEST_GAP: Final = 3.0
"""Times the usual one: nobody is left without a test for longer by chance."""
_COPIED: Final = 50
_State, _Reason, _Stage = AnnotationTask.State, AnnotationTask.Reason, Membership.Stage

# Ordinary answers since the last test was opened, of those who answered lately.
_AT_WORK: Final = """
SELECT member.user_id, member.skills, coalesce(last_test.id, 0), since.answers
FROM labeling_membership member
LEFT JOIN LATERAL (
    SELECT id, created_at FROM labeling_annotationtask task WHERE task.project_id = %(project)s AND task.reason = 'gold'
        AND task.assigned_to_id = member.user_id AND NOT task.is_training ORDER BY id DESC LIMIT 1) last_test ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS answers FROM labeling_annotation answer JOIN labeling_annotationtask task ON task.id = answer.task_id
    WHERE answer.annotator_id = member.user_id AND answer.created_at > %(since)s
        AND answer.created_at > coalesce(last_test.created_at, %(since)s) AND answer.import_key = ''
        AND task.project_id = %(project)s AND task.reason <> 'gold') since
WHERE member.project_id = %(project)s AND member.stage = 'working' AND since.answers > 0
    AND NOT EXISTS (SELECT 1 FROM labeling_annotationtask task WHERE task.project_id = %(project)s AND task.state = 'open'
        AND task.reason = 'gold' AND task.assigned_to_id = member.user_id)
ORDER BY member.user_id"""

# Only what is labelled or set aside as gold: what waits to be drawn must not be missing from the draws. Never the same item twice to one person: whatever they said or passed by of it, and even what they took back. The least
# used come first; whom they go to is chance.
_NEXT_GOLD: Final = """
SELECT gold.item_id, entry.probabilities IS NOT NULL
FROM datasets_golditem gold JOIN labeling_poolentry entry ON entry.item_id = gold.item_id
    JOIN labeling_item item ON item.id = gold.item_id
WHERE gold.project_id = %(project)s AND gold.is_active AND gold.label_schema_id = ANY(%(schemas)s) AND entry.state = 2
    AND (%(skill_segment)s = '' OR coalesce(item.segments ->> %(skill_segment)s, '') = ''
        OR item.segments ->> %(skill_segment)s = ANY(%(skills)s::text[]))
    AND NOT EXISTS (SELECT 1 FROM labeling_annotation answer WHERE answer.item_id = gold.item_id
        AND answer.annotator_id = %(annotator)s)
    AND NOT EXISTS (SELECT 1 FROM labeling_annotationtask task LEFT JOIN labeling_skip skip ON skip.task_id = task.id
            AND skip.annotator_id = %(annotator)s
        WHERE task.item_id = gold.item_id AND (task.state = 'open' OR skip.id IS NOT NULL))
ORDER BY (SELECT count(*) FROM labeling_annotationtask task WHERE task.item_id = gold.item_id AND task.reason = 'gold'),
    md5(gold.item_id::text || ':' || %(annotator)s::text)
LIMIT 1 FOR NO KEY UPDATE OF entry SKIP LOCKED"""

_RECORDS: Final = """
SELECT answer.annotator_id, count(*) FILTER (WHERE answer.answer = gold.answer),
    count(*) FILTER (WHERE answer.answer <> gold.answer)
FROM datasets_golditem gold JOIN labeling_annotation answer ON answer.item_id = gold.item_id
    JOIN labeling_annotationtask task ON task.id = answer.task_id
    LEFT JOIN labeling_membership member ON member.project_id = gold.project_id AND member.user_id = answer.annotator_id
WHERE gold.project_id = %(project)s AND answer.annotator_id = ANY(%(people)s) AND answer.withdrawn_at IS NULL
    AND NOT answer.is_ground_truth AND (NOT %(in_training)s
        OR task.is_training AND answer.created_at >= coalesce(member.stage_changed_at, '-infinity'))
GROUP BY answer.annotator_id"""


@dataclass(frozen=True)
class Record:
    """Answers to gold items, right and wrong."""

    hits: int = 0
    misses: int = 0


@dataclass(frozen=True)
class Mixed:
    """What was done."""

    opened: int
    withdrawn: int
    graduated: int


@dataclass(frozen=True)
class Lesson:
    """What somebody in training is told about their answer, and how far they are."""

    is_right: bool
    right_answer: JSONValue
    explanation: str
    record: Record
    verdict: Verdict


def mix(project: Project, *, now: dt.datetime) -> Mixed:
    """Bring the tests of everybody up to date.

    Open tests that wait too long, were passed by or no longer fit are withdrawn. Who has shown in training that they are
    good goes to work. Members at work get a test after so many ordinary answers as their record asks for
    (`gold_rate`), at a place that is chance to them but the same however often this runs; one at a time. Members in training
    have some tasks waiting. One mixing of a project at a time; safe to run twice.
    """
    with transaction.atomic():
        locks.hold_until_commit(LockKind.GOLD, project.pk)
        withdrawn = _withdraw(project, now)
        graduated = _graduate(project, now)
        opened = _for_training(project, now) + _for_work(project, now)
    return Mixed(opened, withdrawn, graduated)


def projects_with_gold() -> list[int]:
    """Where there is anything to mix."""
    return list(GoldItem.objects.order_by("project_id").values_list("project_id", flat=True).distinct())


def has_gold(project_id: int) -> bool:
    return GoldItem.objects.filter(project=project_id).exists()


def records(project: Project, people: Sequence[int], *, in_training: bool = False) -> dict[int, Record]:
    """By annotator, their answers to gold items; `in_training`: only those of the training they are in."""
    values: dict[str, Any] = {"project": project.pk, "people": list(people), "in_training": in_training}
    with connection.cursor() as cursor:
        cursor.execute(_RECORDS, values)
        return {annotator: Record(hits, misses) for annotator, hits, misses in cursor.fetchall()}


def test_of(project: Project) -> GoldTest:
    """Of honest work against guessing one class of all."""
    label_schema = selectors.current_schema(project)
    classes = len(selectors.parsed(label_schema).label_classes)
    is_choice = label_schema.kind == LabelSchema.Kind.SINGLE_CHOICE
    return GoldTest(other=1.0 / classes if is_choice else 0.5)


def lesson(project: Project, annotation_id: int, *, annotator: User) -> Lesson:
    """What to tell the annotator about an answer of theirs in training. Raises GoldNotFound."""
    answer = Annotation.objects.filter(
        pk=annotation_id, annotator=annotator, task__project=project, task__is_training=True
    ).first()
    gold = None if answer is None else GoldItem.objects.filter(item=answer.item_id).first()
    if answer is None or gold is None:
        raise GoldNotFound("There is nothing to be told about this answer.")
    record = records(project, [annotator.pk], in_training=True).get(annotator.pk, Record())
    verdict = test_of(project).verdict(record.hits, record.misses)
    return Lesson(answer.answer == gold.answer, gold.answer, gold.explanation, record, verdict)


# -- inside ------------------------------------------------------------------------------------------------------


def _withdraw(project: Project, now: dt.datetime) -> int:
    """Locks tasks, then their pool rows in the order of item ids, as everybody does."""
    tests = AnnotationTask.objects.filter(project=project, state=_State.OPEN, reason=_Reason.GOLD)
    free = tests.exclude(leased_to__isnull=False, lease_expires_at__gt=now).order_by("pk")
    locked = list(
        free.select_for_update(no_key=True, skip_locked=True).values_list(
            "pk", "item_id", "created_at", "assigned_to", "is_training"
        )
    )
    if not locked:
        return 0
    stage_of = dict(Membership.objects.filter(project=project).values_list("user_id", "stage"))
    active = set(GoldItem.objects.filter(project=project, is_active=True).values_list("item_id", flat=True))
    passed_by = set(
        AnnotationTask.objects.filter(pk__in=[row[0] for row in locked], skips__isnull=False).values_list(
            "pk", flat=True
        )
    )
    gone = [
        (pk, item_id)
        for pk, item_id, created_at, person, is_training in locked
        if created_at <= now - WITHDRAW_AFTER
        or pk in passed_by
        or item_id not in active
        or stage_of.get(person) != (_Stage.TRAINING if is_training else _Stage.WORKING)
    ]
    AnnotationTask.objects.filter(pk__in=[pk for pk, _ in gone]).update(
        state=_State.WITHDRAWN, closed_at=now, leased_to=None, lease_expires_at=None
    )
    entries = PoolEntry.objects.filter(item__in=[item_id for _, item_id in gone], state=PoolEntry.State.QUEUED)
    item_ids = list(entries.order_by("item_id").select_for_update(no_key=True).values_list("item_id", flat=True))
    PoolEntry.objects.filter(item__in=item_ids).update(state=PoolEntry.State.ANSWERED)
    return len(gone)


def _in_training(project: Project) -> list[Membership]:
    members = Membership.objects.filter(project=project, stage=_Stage.TRAINING).select_related("user")
    return [each for each in members.order_by("user_id") if Capability.ANNOTATE in access.of_role(each.role)]


def _graduate(project: Project, now: dt.datetime) -> int:
    learners = _in_training(project)
    if not learners:
        return 0
    found = records(project, [each.user_id for each in learners], in_training=True)
    test, graduated = test_of(project), 0
    for each in learners:
        record = found.get(each.user_id, Record())
        if test.verdict(record.hits, record.misses) == "honest":
            projects.set_stage(project, username=each.user.get_username(), stage=_Stage.WORKING, by=None, now=now)
            graduated += 1
    return graduated


def _for_training(project: Project, now: dt.datetime) -> int:
    """In rounds, so that few gold items are shared by all."""
    learners = _in_training(project)
    waiting = dict.fromkeys((each.user_id for each in learners), 0)
    tests = AnnotationTask.objects.filter(project=project, state=_State.OPEN, reason=_Reason.GOLD, is_training=True)
    for person in tests.filter(assigned_to__in=waiting).values_list("assigned_to", flat=True):
        if person is not None:
            waiting[person] += 1
    opened = 0
    for ahead in range(TRAINING_AHEAD):
        for each in learners:
            if waiting[each.user_id] <= ahead:
                is_opened = _open(project, each.user_id, each.skills, now=now, is_training=True)
                waiting[each.user_id] += is_opened
                opened += is_opened
    return opened


def _for_work(project: Project, now: dt.datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_AT_WORK, {"project": project.pk, "since": now - ACTIVE})
        at_work = cursor.fetchall()
    found = records(project, [row[0] for row in at_work])
    opened = 0
    for person, skills, last_test, answers in at_work:
        record = found.get(person, Record())
        rate = gold_rate(record.hits, record.misses)
        if answers >= _gap(rate, _chance(project.pk, person, last_test)):
            opened += _open(project, person, skills, now=now, is_training=False)
    return opened


def _chance(*parts: int) -> float:
    """A number in (0, 1) that is the same for the same parts, and tells nobody anything."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2.0**48


def _gap(rate: float, chance: float) -> int:
    """After how many answers the next test comes: as if each answer were followed by one with the chance `rate`."""
    return min(math.ceil(LONGEST_GAP / rate), math.ceil(math.log(chance) / math.log1p(-rate)))


def _open(project: Project, person: int, skills: Sequence[str], *, now: dt.datetime, is_training: bool) -> int:
    schemas = _fitting_schemas(project)
    values: dict[str, Any] = {
        "project": project.pk, "annotator": person, "skills": list(skills), "skill_segment": project.skill_segment,
        "schemas": schemas,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_GOLD, values)
        found = cursor.fetchone()
    if found is None:
        return 0
    item_id, is_scored = found
    test = AnnotationTask(
        project=project, item_id=item_id, reason=_Reason.GOLD, assigned_to_id=person, is_training=is_training,
        priority=priority.of(is_pinned=False, due_at=None, boost=0.0, is_assigned=True), created_at=now,
    )  # fmt: skip
    if not is_training:
        _disguise(test, is_scored=is_scored)
    test.save(force_insert=True)
    PoolEntry.objects.filter(item=item_id).update(state=PoolEntry.State.QUEUED)
    return 1


def _fitting_schemas(project: Project) -> list[int]:
    """Versions of the label schema whose answers can still be given: of the kind and with the classes of the current one."""
    current = selectors.current_schema(project)
    keys = set(selectors.parsed(current).class_keys)
    return [
        version.pk
        for version in LabelSchema.objects.filter(project=project, kind=current.kind)
        if set(selectors.parsed(version).class_keys) <= keys
    ]


def _disguise(test: AnnotationTask, *, is_scored: bool) -> None:
    """Let it tell of itself what an ordinary task of the project tells."""
    usual = AnnotationTask.objects.filter(project=test.project_id, is_audit=False).exclude(
        reason__in=[_Reason.GOLD, _Reason.IMPORTED, _Reason.AUDIT]
    )
    if not is_scored:
        usual = usual.exclude(reason=_Reason.UNCERTAIN)
    told = usual.order_by("-pk").values_list("reason", "informativeness", "propensity", "model_version")
    copied = list(told[:_COPIED])
    if not copied:
        test.told_reason = _Reason.COLD_START
        return
    place = int(_chance(test.project_id, test.item_id, test.assigned_to_id or 0) * len(copied))
    test.told_reason, test.informativeness, test.propensity, test.model_version_id = copied[place]

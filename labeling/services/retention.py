"""What is deleted or blanked with age, project by project, batch by batch: by the project's policy and the installation's settings.

Corrections are evidence about the truth and stay; so do asks, with what they were drawn by. See docs/retention.md.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import models, transaction
from django.db.models import BooleanField, Exists, F, Func, JSONField, OuterRef, Q, QuerySet, Value
from django.utils import timezone

from labeling.feedback_rows import IMPLICIT_KINDS
from labeling.models import Ask, Correction, Feedback, Project, Respondent, RetentionPolicy
from labeling.services import respondents, retention_policies
from labeling.services.retention_policies import Trail

BATCH: Final = 5_000
MOST_COUNTED: Final = 100_000
_NOTHING: Final = Value(None, JSONField())


@dataclass(frozen=True)
class Part:
    """Rows that are due, and what is done with a batch of them, by id; afterwards they are due no more. `order` is the
    column by which they are read: that of their age where an index begins with project and age, else the id."""

    rows: QuerySet[Any]
    order: str
    act: Callable[[list[int]], int]


class _HasTextStep(Func):
    """Whether a step of a survey was answered in free text."""

    template = "EXISTS (SELECT FROM jsonb_each(%(expressions)s) step WHERE step.value ? 'text')"
    output_field = BooleanField()


class _WithoutTextSteps(Func):
    template = (
        "(SELECT coalesce(jsonb_object_agg(step.key, step.value) FILTER (WHERE NOT step.value ? 'text'), '{}') "
        "FROM jsonb_each(%(expressions)s) step)"
    )
    output_field = JSONField()


def apply(project: Project, *, now: dt.datetime) -> dict[str, int]:
    """Delete and blank what is too old, and note it in the trail; returns the number of rows by field of the policy.

    Each batch is a transaction of its own, together with its record. Safe to run twice, and killed at any time.
    """
    policy = retention_policies.current_policy(project)
    trail = Trail(policy, now=now)
    gone: dict[str, int] = {}
    for name, parts in due(policy, now=now).items():
        for part in parts:
            for count in carry_out(part, name, trail):
                gone[name] = gone.get(name, 0) + count
    return gone


def carry_out(part: Part, name: str, trail: Trail) -> Iterator[int]:
    """Do it batch by batch; yields the rows of each."""
    rows = part.rows
    while found := list(rows.order_by(part.order).values_list("pk", part.order)[:BATCH]):
        with transaction.atomic():
            count = part.act([pk for pk, _ in found])
            if count:
                trail.add(name, count, at=timezone.now())
        yield count
        # What is as old as the last one and was acted on is due no more; what is before it need not be read again.
        beyond = "pk__gt" if part.order == "pk" else f"{part.order}__gte"
        rows = part.rows.filter(**{beyond: found[-1][1]})


def count(part: Part) -> int:
    """How many rows are due; MOST_COUNTED + 1 where there are more than MOST_COUNTED."""
    return part.rows.order_by().values("pk")[: MOST_COUNTED + 1].count()


def due(policy: RetentionPolicy, *, now: dt.datetime) -> dict[str, list[Part]]:
    """By field of the policy, what is too old. Of the log of decisions, sampling.services.ask_log knows."""
    project_id = policy.project_id
    found: dict[str, list[Part]] = {}
    for name, days in retention_policies.days_of(policy).items():
        before = now - dt.timedelta(days=days)
        if name == "opinion_days":
            rows = Feedback.objects.filter(project=project_id, received_at__lt=before)
            found[name] = [_deleting(rows.exclude(kind__in=IMPLICIT_KINDS))]
        elif name == "behaviour_days":
            rows = Feedback.objects.filter(project=project_id, received_at__lt=before)
            found[name] = [_deleting(rows.filter(kind__in=IMPLICIT_KINDS))]
        elif name == "text_days":
            found[name] = [*_comments(project_id, before), *_texts(project_id, before)]
        elif name == "respondent_days":
            found[name] = [*_hashes(project_id, before), *_comments(project_id, before)]
        elif name == "idle_respondent_days":
            found[name] = [_idle(project_id, before, now)]
    return found


def _deleting(rows: QuerySet[Feedback]) -> Part:
    return Part(rows, "received_at", lambda ids: respondents.delete_said(Feedback, ids))


def _updating(rows: QuerySet[Any], order: str = "received_at", **values: object) -> Part:
    model = rows.model
    return Part(rows, order, lambda ids: model._default_manager.filter(pk__in=ids).update(**values))


def _comments(project_id: int, before: dt.datetime) -> list[Part]:
    return [
        _updating(
            model._default_manager.filter(project=project_id, received_at__lt=before).exclude(comment=""), comment=""
        )
        for model in (Feedback, Correction)
    ]


def _texts(project_id: int, before: dt.datetime) -> list[Part]:
    old = Feedback.objects.filter(project=project_id, received_at__lt=before)
    surveys = old.filter(_HasTextStep(F("value")), kind=Feedback.Kind.SURVEY)
    return [
        _updating(old.filter(kind=Feedback.Kind.TEXT).exclude(value=_NOTHING), value=_NOTHING),
        _updating(surveys, value=_WithoutTextSteps(F("value"))),
    ]


def _hashes(project_id: int, before: dt.datetime) -> list[Part]:
    """Of every table that knows of respondents, but their own: opt-outs and privacy budgets are for life."""
    parts = []
    for model in respondents.tables():
        if model is Respondent:
            continue
        names = {field.name for field in model._meta.concrete_fields}
        of_project = {"project" if "project" in names else "item__project": project_id}
        known = model._default_manager.filter(**of_project).exclude(respondent_hash="")
        if respondents.is_theirs(model):
            parts.append(_forgetting(known.filter(changed_at__lt=before)))
        else:
            age = "received_at" if "received_at" in names else "created_at"
            order = age if _is_indexed(model, age) else "pk"
            parts.append(_updating(known.filter(**{f"{age}__lt": before}), order, **respondents.blank(model)))
    return parts


def _is_indexed(model: type[models.Model], age: str) -> bool:
    return any([name.lstrip("-") for name in index.fields] == ["project", age] for index in model._meta.indexes)


def _forgetting(rows: QuerySet[Any]) -> Part:
    model: type[models.Model] = rows.model
    label = model._meta.label

    def act(ids: list[int]) -> int:
        # Looked at again under lock: meanwhile somebody may have opted out, or been blocked.
        again = rows.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",))
        still = list(again.values_list("pk", flat=True))
        return model._default_manager.filter(pk__in=still).delete()[1].get(label, 0)

    return Part(rows, "pk", act)


def _idle(project_id: int, before: dt.datetime, now: dt.datetime) -> Part:
    """Respondents of whom nothing was heard, and whose row protects nobody."""
    theirs = Q(project=project_id, respondent_hash=OuterRef("respondent_hash"))
    rows = Respondent.objects.filter(
        Q(opted_out_until__isnull=True) | Q(opted_out_until__lt=now),
        ~Exists(Ask.objects.filter(theirs, created_at__gte=before)),
        ~Exists(Feedback.objects.filter(theirs, received_at__gte=before)),
        ~Exists(Correction.objects.filter(theirs, received_at__gte=before)),
        project=project_id,
        created_at__lt=before,
        is_blocked=False,
        epsilon_spent=0,
    )
    return _forgetting(rows)

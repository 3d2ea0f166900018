"""Decisions to ask and not to ask, and what became of the asks, as rows: the log that reports are read from."""

import datetime as dt
from typing import Any, Final

from labeling.models import (
    Ask,
    Correction,
    Feedback,
    Item,
    LabelSchema,
    ModelVersion,
    PoolEntry,
    Project,
    Question,
    QuestionVersion,
)
from labeling.splitting import bucket_of
from sampling.models import AskDecision, AskPolicy

NOW: Final = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
IS_RIGHT: Final[dict[str, Any]] = {"text": {"en": "Is this right?"}}
_NOT_DRAWN: Final = {"not_drawn", "selected", "audit"}


def question(
    project: Project,
    key: str = "is_right",
    kind: str = "correction",
    definition: dict[str, Any] | None = None,
    **others: Any,
) -> QuestionVersion:
    """The first version of a live question."""
    made = Question.objects.create(project=project, key=key)
    return QuestionVersion.objects.create(
        question=made, version=1, kind=kind, definition=definition or IS_RIGHT, **others
    )


def policy(project: Project, **changes: Any) -> AskPolicy:
    found = AskPolicy.objects.filter(project=project).order_by("-version").first()
    return found or AskPolicy.objects.create(project=project, version=1, **changes)


def item(project: Project, key: str) -> Item:
    bucket = bucket_of(project.pk, key)
    made, is_new = Item.objects.get_or_create(
        project=project, key=key, defaults={"payload": {"text": key}, "bucket": bucket}
    )
    if is_new:
        PoolEntry.objects.create(item=made, project=project, bucket=bucket)
    return made


def decision(
    project: Project,
    reason: str,
    *,
    who: str = "",
    asked: QuestionVersion | None = None,
    segment: str = "",
    model_version: ModelVersion | None = None,
    propensity: float | None = None,
    is_blind: bool = False,
    weight: float = 1.0,
    at: dt.datetime = NOW,
    fate: str = "",
    after_seconds: float = 5.0,
    predicted: dict[str, Any] | None = None,
) -> AskDecision:
    """A logged decision; with a `fate` (offered, shown, dismissed, answered, expired) an ask that came to it."""
    number = AskDecision.objects.count()
    is_ask = bool(fate)
    ask = None
    if is_ask:
        assert asked is not None
        ended = at + dt.timedelta(seconds=1 + after_seconds)
        ask = Ask.objects.create(
            project=project, opportunity_id=f"o-{number}", question_version=asked, item=item(project, f"item-{number}"),
            model_version=model_version, predicted_answer=predicted, is_blind=is_blind, respondent_hash=who,
            segment=segment, propensity=propensity or 0.5, is_audit=reason == "audit", state=fate, created_at=at,
            expires_at=at + dt.timedelta(days=1), shown_at=None if fate == "offered" else at + dt.timedelta(seconds=1),
            dismissed_at=ended if fate == "dismissed" else None, answered_at=ended if fate == "answered" else None,
        )  # fmt: skip
    return AskDecision.objects.create(
        project=project, opportunity_id=f"o-{number}", policy=policy(project), question_version=asked,
        model_version=model_version, ask=ask, item=ask.item if ask else None, respondent_hash=who, segment=segment,
        is_ask=is_ask, reason=reason, is_eligible=reason in _NOT_DRAWN, is_blind=is_blind,
        propensity=propensity if propensity is not None else (0.5 if reason in _NOT_DRAWN else None),
        log_weight=weight, created_at=at,
    )  # fmt: skip


def answered(made: AskDecision, *, thumb: str = "", truth: dict[str, Any] | None = None, **others: Any) -> None:
    """What was said to the ask of a decision: an opinion of the model's answer, the truth, or both."""
    ask = made.ask
    assert ask is not None
    said: dict[str, Any] = {
        "project": ask.project, "ask": ask, "item": ask.item, "question_version": ask.question_version,
        "channel": "token", "respondent_hash": ask.respondent_hash, "occurred_at": NOW, "received_at": NOW,
        "is_anchored": not ask.is_blind, **others,
    }  # fmt: skip
    number = Feedback.objects.count() + Correction.objects.count()
    if thumb:
        Feedback.objects.create(
            **said, client_id=f"answer:{ask.pk}:{number}", kind="thumb", value=thumb, score=float(thumb == "up")
        )
    if truth is not None:
        schema = LabelSchema.objects.filter(project=ask.project).latest("version")
        Correction.objects.create(**said, client_id=f"answer:{ask.pk}:{number}", label_schema=schema, answer=truth)


def behaviour(project: Project, who: str, kind: str, *, at: dt.datetime = NOW) -> Feedback:
    return Feedback.objects.create(
        project=project, client_id=f"b-{Feedback.objects.count()}", channel="browser", respondent_hash=who, kind=kind,
        occurred_at=at, received_at=at,
    )  # fmt: skip

"""Opportunities to ask, and a project in which somebody may be asked."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from labeling import wire
from labeling.models import Ask, Project, Question, QuestionVersion
from labeling.redis_client import redis_client
from labeling.wire import PredictionPart
from sampling.models import AskPolicy
from sampling.services import ask_policies, asks
from sampling.services.ask_replies import Answer
from sampling.services.ask_situation import Opportunity
from tests.factories.labeling import model_version

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
ALWAYS = {
    "threshold": -5.0,
    "temperature": 0.01,
    "most_propensity": 1.0,
    "audit_share": 0.0,
    "holdout_share": 0.0,
    "blind_share": 0.0,
}
"""A policy that asks whenever no gate refuses, and shows what the model said."""


def question(project: Project, key: str = "is_right", kind: str = "correction", **version: Any) -> QuestionVersion:
    definition = version.pop("definition", {"text": {"en": "Is this right?", "de": "Stimmt das?"}})
    made = Question.objects.create(project=project, key=key)
    return QuestionVersion.objects.create(question=made, version=1, kind=kind, definition=definition, **version)


def policy(project: Project, **changes: Any) -> AskPolicy:
    """A policy in force since NOW."""
    made = ask_policies.new_version(project, by=None, **changes)
    AskPolicy.objects.filter(project=project).update(created_at=NOW)
    return made


def asking(project: Project, **changes: Any) -> QuestionVersion:
    """The project with a champion, a live question, and a policy that always asks, but for these changes."""
    forget_counters()
    model_version(project)
    policy(project, **{**ALWAYS, **changes})
    return question(project)


def forget_counters() -> None:
    """Projects of other tests may have had the same ids."""
    if keys := redis_client().keys("asks:*"):
        redis_client().delete(*keys)


def opportunity(
    name: str,
    *,
    key: str | None = None,
    respondent: str | None = None,
    probabilities: Sequence[float] | None = (0.5, 0.3, 0.2),
    segments: dict[str, str] | None = None,
    payload: dict[str, object] | None = None,
    context: dict[str, object] | None = None,
    **others: Any,
) -> Opportunity:
    """A new item and a new respondent, both named after the opportunity, unless told otherwise."""
    prediction = None
    if probabilities is not None:
        prediction = PredictionPart(model_version="m1", probabilities=list(probabilities), context=context or {})
    row = wire.checked(
        f"item-{name}" if key is None else key,
        payload={"text": name} if payload is None else payload or None,
        segments=segments,
        prediction=prediction,
    )
    return Opportunity(name, [row], respondent=f"user-{name}" if respondent is None else respondent, **others)


def decide(project: Project, name: str, *, now: dt.datetime = NOW, **others: Any) -> Answer:
    return asks.decide(project, opportunity(name, **others), now=now)


def close(answer: Answer, state: str, *, at: dt.datetime) -> None:
    """Let the respondent answer or dismiss the ask."""
    assert answer.ask_id is not None
    Ask.objects.filter(pk=answer.ask_id).update(state=state, shown_at=at, **{f"{state}_at": at})

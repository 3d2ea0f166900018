"""Single answers to asks, as they are read: what was said, about which prediction, with which chance it was asked."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db.models import QuerySet

from labeling.errors import InvalidInput
from labeling.models import Ask, Correction, Feedback, Project, Question
from labeling.models.feedback import Said

_CHUNK: Final = 1_000
_LONGEST_MS: Final = 30 * 86_400_000


@dataclass(frozen=True)
class Wanted:
    """Which answers: empty fields leave all in. `since` and `until` are of the answer, the latter exclusive."""

    question: str = ""
    version: int | None = None
    model_version: str = ""
    arm: Literal["", "shown", "blind"] = ""
    drawn_by: Literal["", "policy", "audit"] = ""
    respondent_hash: str = ""
    since: dt.datetime | None = None
    until: dt.datetime | None = None


@dataclass(frozen=True)
class GivenAnswer:
    """The standing answer to an ask, whose id it goes by.

    `opinion` and `value` are empty where only the truth was stated, `correction` where none was; all three where what was
    said was deleted by age or with its respondent. `epsilon` is set where the answer was randomised on the device: a
    single one then says nothing about what the respondent thinks.
    """

    id: int
    question: str
    question_version: int
    kind: str
    question_version_id: int
    key: str
    item_id: int
    model_version: str | None
    predicted_answer: Any
    is_blind: bool
    is_audit: bool
    propensity: float
    segment: str
    respondent_hash: str
    opinion: str
    value: Any
    score: float | None
    correction: Any
    comment: str
    epsilon: float | None
    duration_ms: int | None
    shown_at: dt.datetime | None
    answered_at: dt.datetime | None

    @property
    def is_randomised(self) -> bool:
        return self.epsilon is not None


def answered_asks(project: Project, wanted: Wanted) -> QuerySet[Ask]:
    """The asks that were answered, unordered. Raises InvalidInput `unknown_question`, `unknown_model_version`."""
    asks = Ask.objects.filter(project=project, state=Ask.State.ANSWERED)
    if wanted.question:
        question = Question.objects.filter(project=project, key=wanted.question).first()
        if question is None:
            raise _unknown("question", wanted.question, "There is no question")
        asks = asks.filter(question_version__question=question)
    if wanted.version is not None:
        asks = asks.filter(question_version__version=wanted.version)
    if wanted.model_version:
        model_version = project.model_versions.filter(name=wanted.model_version).first()
        if model_version is None:
            raise _unknown("model_version", wanted.model_version, "There is no model version")
        asks = asks.filter(model_version=model_version)
    if wanted.arm:
        asks = asks.filter(is_blind=wanted.arm == "blind")
    if wanted.drawn_by:
        asks = asks.filter(is_audit=wanted.drawn_by == "audit")
    if wanted.respondent_hash:
        asks = asks.filter(respondent_hash=wanted.respondent_hash)
    if wanted.since is not None:
        asks = asks.filter(answered_at__gte=wanted.since)
    if wanted.until is not None:
        asks = asks.filter(answered_at__lt=wanted.until)
    return asks.select_related("question_version__question", "item", "model_version").defer(
        "item__payload", "item__segments", "question_version__definition"
    )


def given(asks: Sequence[Ask]) -> list[GivenAnswer]:
    """What was said to the asks, in their order; two statements."""
    ids = [ask.pk for ask in asks]
    opinions = {row.ask_id: row for row in _standing(Feedback, ids)}
    corrections = {row.ask_id: row for row in _standing(Correction, ids)}
    return [_given(ask, opinions.get(ask.pk), corrections.get(ask.pk)) for ask in asks]


def in_order(asks: QuerySet[Ask]) -> Iterator[GivenAnswer]:
    """All of them by id, read chunk by chunk as they are consumed."""
    after = 0
    while chunk := list(asks.filter(pk__gt=after).order_by("pk")[:_CHUNK]):
        yield from given(chunk)
        after = chunk[-1].pk


def _standing(model: Any, ask_ids: Sequence[int]) -> Any:
    """What answered the asks; what else was said of them is no answer."""
    return model.objects.filter(
        ask__in=ask_ids,
        channel=Said.Channel.TOKEN,
        client_id__startswith=Said.ANSWERS,
        superseded_at__isnull=True,
    ).order_by("id")


def _given(ask: Ask, opinion: Feedback | None, correction: Correction | None) -> GivenAnswer:
    said: Said | None = opinion or correction
    version = ask.question_version
    duration = said.context.get("duration_ms") if said else None
    return GivenAnswer(
        id=ask.pk,
        question=version.question.key,
        question_version=version.version,
        kind=version.kind,
        question_version_id=version.pk,
        key=ask.item.key,
        item_id=ask.item_id,
        model_version=ask.model_version.name if ask.model_version else None,
        predicted_answer=ask.predicted_answer,
        is_blind=ask.is_blind,
        is_audit=ask.is_audit,
        propensity=ask.propensity,
        segment=ask.segment,
        respondent_hash=ask.respondent_hash,
        opinion=opinion.kind if opinion else "",
        value=opinion.value if opinion else None,
        score=opinion.score if opinion else None,
        correction=correction.answer if correction else None,
        comment=said.comment if said else "",
        epsilon=opinion.epsilon if opinion else None,
        # A page may put anything there.
        duration_ms=duration if type(duration) is int and 0 <= duration <= _LONGEST_MS else None,
        shown_at=ask.shown_at,
        answered_at=ask.answered_at,
    )


def _unknown(field: str, name: str, what: str) -> InvalidInput:
    return InvalidInput(f"{what} “{name}”.", code=f"unknown_{field}", fields={field: "unknown"})

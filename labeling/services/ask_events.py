"""What becomes of an ask: it is shown, dismissed or answered, by whoever holds its token. One outcome, whoever is first."""

import datetime as dt
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db import transaction

from labeling import feedback_rows, news, prepared, question_catalogue, questions, selectors
from labeling.ask_tokens import AskToken
from labeling.errors import AlreadyAnswered, Conflict, InvalidInput, NotAllowed, NotFound
from labeling.models import Ask, Feedback
from labeling.question_catalogue import KnownVersion
from labeling.questions import Asked, QuestionError, Stated
from labeling.schema import JSONValue
from labeling.services import ask_events_sql as sql
from labeling.wire import JSON_EMPTY, RowError, encoded

_LONGEST_CONTEXT: Final = 16 * 1024
_encode: Final = msgspec.json.Encoder().encode


class EventKind(StrEnum):
    SHOWN = "shown"
    STARTED = "started"
    DISMISSED = "dismissed"
    ANSWERED = "answered"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True)
class Event:
    """What the widget tells. `client_id` is its own name of an answer, so that it counts once."""

    kind: EventKind
    answer: JSONValue = None
    randomised: JSONValue = None
    comment: str = ""
    client_id: str = ""
    duration_ms: int | None = None
    occurred_at: dt.datetime | None = None
    sent_at: dt.datetime | None = None
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    state: Ask.State
    feedback_id: int | None = None
    may_edit_until: dt.datetime | None = None


@dataclass(frozen=True)
class ShownAsk:
    state: Ask.State
    key: str
    """Of the item, by which the page knows what must be quiet about a private question."""
    question: dict[str, JSONValue]
    expires_at: dt.datetime


def show(token: AskToken, *, locale: str, now: dt.datetime) -> ShownAsk:
    """The ask as the widget shows it. Raises NotFound `ask_not_found`."""
    ask = _only(prepared.fetch(sql.READ, _of(token)))
    version = question_catalogue.known_version(ask.question_version_id)
    state = Ask.State(ask.state)
    if state in (Ask.State.OFFERED, Ask.State.SHOWN) and ask.expires_at <= now:
        state = Ask.State.EXPIRED
    question = questions.rendered(
        version.question,
        key=version.key,
        version=version.version,
        locale=locale,
        asked=_asked(ask),
        epsilon=version.epsilon,
    )
    return ShownAsk(state, ask.item_key, question, ask.expires_at)


@transaction.atomic
def record(token: AskToken, event: Event, *, now: dt.datetime) -> Outcome:
    """Note the event. Events that come twice or out of order change nothing that is known better.

    Locks the ask, so of two outcomes at a time one is first and the other learns of it. Raises NotFound
    `ask_not_found`, NotAllowed `expired_token`, Conflict `already_answered` or `already_dismissed`, InvalidInput for an
    answer that is none.
    """
    ask = _only(prepared.fetch(sql.LOCK, _of(token)))
    if ask.state == Ask.State.EXPIRED:
        raise NotAllowed("The time to answer is over.", code="expired_token")
    at = _time_of(event, ask, now)
    if event.kind == EventKind.ANSWERED:
        return _answer(ask, event, at=at, now=now)
    if event.kind == EventKind.OPTED_OUT:
        return _opt_out(ask, at=at, now=now)
    if event.kind == EventKind.DISMISSED:
        return _dismiss(ask, at=at)
    state = Ask.State.SHOWN if ask.state == Ask.State.OFFERED else Ask.State(ask.state)
    is_started = event.kind == EventKind.STARTED
    prepared.fetch(sql.NOTE_SHOWN, {"ask": ask.id, "at": at, "started": is_started})
    return _as_it_is(ask, state)


def _dismiss(ask: sql.LockedAsk, *, at: dt.datetime) -> Outcome:
    if ask.state == Ask.State.ANSWERED:
        raise AlreadyAnswered("This was answered already.")
    if ask.state != Ask.State.DISMISSED:
        prepared.fetch(sql.DISMISS, {"ask": ask.id, "at": at})
    return Outcome(Ask.State.DISMISSED)


def _opt_out(ask: sql.LockedAsk, *, at: dt.datetime, now: dt.datetime) -> Outcome:
    """Where the app named nobody, there is nobody to remember it of: the ask is dismissed all the same."""
    if ask.respondent_hash:
        until = now + dt.timedelta(seconds=settings.ASK_OPT_OUT_SECONDS)
        prepared.fetch(
            sql.OPT_OUT, {"project": ask.project_id, "respondent": ask.respondent_hash, "until": until, "now": now}
        )
    if ask.state == Ask.State.ANSWERED:
        return _as_it_is(ask, Ask.State.ANSWERED)
    return _dismiss(ask, at=at)


def _answer(ask: sql.LockedAsk, event: Event, *, at: dt.datetime, now: dt.datetime) -> Outcome:
    client_id = f"{Feedback.ANSWERS}{ask.id}:{event.client_id or uuid.uuid4().hex}"
    if ask.state == Ask.State.DISMISSED:
        raise Conflict("This was dismissed already.", code="already_dismissed")
    version = question_catalogue.known_version(ask.question_version_id)
    older_feedback, older_correction, is_late = None, None, False
    if ask.state == Ask.State.ANSWERED:
        of_ask: dict[str, prepared.Value] = {"ask": ask.id, "project": ask.project_id, "client_id": client_id}
        ((is_replay, older_feedback, older_correction, *times),) = prepared.fetch(
            sql.STANDING, {**of_ask, "answers": Feedback.ANSWERS}
        )
        if is_replay:
            return Outcome(Ask.State.ANSWERED, older_feedback, _may_edit_until(ask, version))
        may_edit_until = _may_edit_until(ask, version)
        if may_edit_until is None or now >= may_edit_until:
            raise AlreadyAnswered("This was answered already, and the time to change it is over.")
        is_late = _is_before(event, at, *times)
    stated = _stated(ask, event, version)
    values = _values(ask, event, version, stated, client_id=client_id, at=at, now=now)
    if is_late:
        # What it was changed to came first, and stands.
        values |= {"older_feedback": None, "older_correction": None, "superseded_at": now}
    else:
        values |= {"older_feedback": older_feedback, "older_correction": older_correction, "superseded_at": None}
    ((feedback_id, correction_id),) = prepared.fetch(sql.ANSWER, values)
    if feedback_id is None and correction_id is None:
        raise Conflict("Feedback of this id exists already.", code="already_exists")
    news.tell(news.feedback_recorded, project_id=ask.project_id)
    answered_at = ask.answered_at or at
    return Outcome(Ask.State.ANSWERED, feedback_id, _may_edit_until(ask._replace(answered_at=answered_at), version))


def _is_before(event: Event, at: dt.datetime, occurred_at: dt.datetime | None, stated_at: dt.datetime | None) -> bool:
    """Whether the answer was given before the one that stands. One that says no time is given as it comes in.

    By the device's own clock where it told both times: what the network held up makes our corrected times too late.
    """
    if event.occurred_at is None:
        return False
    if stated_at is not None:
        return event.occurred_at < stated_at
    return occurred_at is not None and at < occurred_at


def _stated(ask: sql.LockedAsk, event: Event, version: KnownVersion) -> Stated:
    try:
        feedback_rows.require_comment(event.comment)
        if version.is_private and event.comment:
            raise RowError("comment_not_allowed", "A private question takes no comment: it would tell on the answer.")
        return questions.read_answer(
            version.question,
            event.answer,
            asked=_asked(ask),
            epsilon=version.epsilon,
            randomised=event.randomised,
        )
    except QuestionError as error:
        raise InvalidInput(f"This is no answer: {error}.", code=error.code, fields={"answer": str(error)}) from None
    except RowError as error:
        raise InvalidInput(error.message, code=error.code, fields={"comment": error.message}) from None


def _values(
    ask: sql.LockedAsk,
    event: Event,
    version: KnownVersion,
    stated: Stated,
    *,
    client_id: str,
    at: dt.datetime,
    now: dt.datetime,
) -> dict[str, prepared.Value]:
    return {
        "ask": ask.id,
        "project": ask.project_id,
        "item": ask.item_id,
        "prediction": ask.prediction_id,
        "version": version.id,
        "schema": ask.label_schema_id,
        "respondent": ask.respondent_hash,
        "client_id": client_id,
        "is_anchored": not ask.is_blind and ask.predicted_answer is not None,
        "kind": stated.kind,
        "value": _encode(stated.value).decode(),
        "score": stated.score,
        "correction": None if stated.correction is None else _encode(stated.correction).decode(),
        "comment": event.comment,
        # How long it took and from where it came would tell something of the answer that noise was to hide.
        "context": "{}" if version.is_private else _context(event).decode(),
        "epsilon": version.epsilon,
        "at": at,
        "stated_at": event.occurred_at,
        "now": now,
    }


def _context(event: Event) -> bytes:
    context = dict(event.context)
    if event.duration_ms is not None:
        context["duration_ms"] = event.duration_ms
    if not context:
        return JSON_EMPTY
    try:
        written = encoded("context", context)
    except RowError as error:
        raise InvalidInput(error.message, code=error.code, fields={"context": error.message}) from None
    if len(written) > _LONGEST_CONTEXT:
        message = f"The context of an answer has at most {_LONGEST_CONTEXT:,} bytes."
        raise InvalidInput(message, code="invalid_context", fields={"context": message})
    return written


def _time_of(event: Event, ask: sql.LockedAsk, now: dt.datetime) -> dt.datetime:
    """When it happened, by our clock: not before the ask was made, and not after now."""
    try:
        feedback_rows.require_time(event.occurred_at)
        feedback_rows.require_time(event.sent_at)
    except RowError as error:
        raise InvalidInput(error.message, code=error.code, fields={"occurred_at": error.message}) from None
    at = feedback_rows.corrected_times(event.occurred_at, event.sent_at, received_at=now)
    return min(max(at, ask.created_at), now)


def _may_edit_until(ask: sql.LockedAsk, version: KnownVersion) -> dt.datetime | None:
    """None where an answer stands once it is given: each further report of a private one would tell more."""
    if ask.answered_at is None or version.is_private:
        return None
    return min(ask.answered_at + dt.timedelta(seconds=settings.ASK_EDIT_SECONDS), ask.expires_at)


def _as_it_is(ask: sql.LockedAsk, state: Ask.State) -> Outcome:
    if state != Ask.State.ANSWERED:
        return Outcome(state)
    return Outcome(state, None, _may_edit_until(ask, question_catalogue.known_version(ask.question_version_id)))


def _asked(ask: sql.LockedAsk) -> Asked:
    return Asked(selectors.schema_of(ask.label_schema_id), ask.predicted_answer, ask.is_blind)


def _of(token: AskToken) -> dict[str, prepared.Value]:
    return {"ask": token.ask_id, "project": token.project_id}


def _only(rows: list[tuple[Any, ...]]) -> sql.LockedAsk:
    if not rows:
        raise NotFound("There is no such ask any more.", code="ask_not_found")
    ask = sql.LockedAsk(*rows[0])
    if ask.predicted_answer is None:
        return ask
    return ask._replace(
        predicted_answer=msgspec.json.decode(ask.predicted_answer)
    )  # statements of ours bring it as text

"""What an app is told: the decision, and, where it is to ask, the question and a token for the answer."""

import datetime as dt
import secrets
from collections.abc import Collection
from typing import Any

import msgspec

from labeling import ask_tokens
from labeling.ask_tokens import AskToken
from labeling.models import Ask
from labeling.questions import Asked, parse_question, rendered
from labeling.schema import JSONValue
from sampling.asking.policy import Reason
from sampling.models import AskDecision
from sampling.services.ask_setting import LiveQuestion, Setting


class Answer(msgspec.Struct, kw_only=True):
    """What the app is told. `ask` says whether to show the question now."""

    ask: bool
    reason: str
    opportunity_id: str
    key: str | None = None
    prediction_id: int | None = None
    ask_id: int | None = None
    token: str | None = None
    expires_at: dt.datetime | None = None
    propensity: float | None = None
    is_blind: bool = False
    policy_version: int = 0
    question: dict[str, Any] | None = None
    retry_after_seconds: int | None = None


def replayed(
    setting: Setting, decision_id: int, *, respondents: Collection[str], locale: str, now: dt.datetime
) -> Answer:
    """The answer that a logged decision gives again. An ask that is over is not to be shown any more: then `ask` is False.

    Only the respondent (by any of their hashes) whom it was about is told what was asked: to whoever else names the opportunity the answer
    is no, without a word of the item and without a token.
    """
    decision = AskDecision.objects.select_related("policy", "ask", "item", "question_version__question").get(
        pk=decision_id
    )
    ask, version = decision.ask, decision.question_version
    answer = Answer(
        ask=False,
        reason=Reason(decision.reason).told.value,
        opportunity_id=decision.opportunity_id,
        propensity=decision.propensity,
        policy_version=decision.policy.version,
    )
    if decision.respondent_hash not in respondents:
        return answer
    answer.key = decision.item.key if decision.item else None
    answer.prediction_id, answer.ask_id = decision.prediction_id, decision.ask_id
    is_open = ask is not None and ask.state in (Ask.State.OFFERED, Ask.State.SHOWN) and ask.expires_at > now
    if ask is None or version is None or not is_open:
        return answer
    answer.ask = True
    question = LiveQuestion(
        version.question_id,
        version.pk,
        version.question.key,
        version.version,
        parse_question(version.kind, version.definition),
        version.epsilon,
        version.deadline,
    )
    offer(
        answer,
        setting,
        question,
        predicted=ask.predicted_answer,
        is_blind=ask.is_blind,
        locale=locale,
        ask_id=ask.pk,
        expires_at=ask.expires_at,
    )
    return answer


def offer(
    answer: Answer,
    setting: Setting,
    question: LiveQuestion,
    *,
    predicted: JSONValue,
    is_blind: bool,
    locale: str,
    ask_id: int | None,
    expires_at: dt.datetime,
) -> None:
    """Put the question, and the token if there is an ask, into the answer."""
    answer.is_blind, answer.expires_at = is_blind, expires_at
    answer.question = rendered(
        question.wording,
        key=question.key,
        version=question.version,
        locale=locale,
        asked=Asked(setting.label_schema, predicted, is_blind),
        epsilon=question.epsilon,
    )
    if ask_id is not None:
        answer.ask_id = ask_id
        answer.token = ask_tokens.issue(
            AskToken(
                setting.project_id,
                ask_id,
                question.version_id,
                int(expires_at.timestamp()),
                is_blind,
                secrets.token_bytes(ask_tokens.NONCE_BYTES),
            ),
            key=setting.token_key,
        )

"""What `ask` answers: ask this user now, or not, and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from feedback_client.json_text import JSONValue

LocalReason = Literal["unreachable", "refused", "invalid", "disabled"]
"""Reasons of decisions made here: no answer in time; the service refused the request; the arguments could not be used; the client is
disabled or shut down. All others come from the service."""

Plain = TypeVar("Plain", str, int, float)


@dataclass(frozen=True)
class Decision:
    """True where the user is to be asked; every field but `ask` and `reason` may be missing.

    `answer` is what the service said, as it came: hand it to the widget.
    """

    ask: bool
    reason: str
    opportunity_id: str | None = None
    key: str | None = None
    prediction_id: int | None = None
    ask_id: int | None = None
    token: str | None = None
    expires_at: str | None = None
    propensity: float | None = None
    is_blind: bool = False
    policy_version: int | None = None
    question: Mapping[str, JSONValue] | None = None
    retry_after_seconds: float | None = None
    answer: Mapping[str, JSONValue] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        # Else `if client.ask(...)` would ask everybody.
        return self.ask


def no(reason: LocalReason, *, opportunity_id: str | None = None, key: str | None = None) -> Decision:
    answer: dict[str, JSONValue] = {"ask": False, "reason": reason, "opportunity_id": opportunity_id, "key": key}
    return Decision(ask=False, reason=reason, opportunity_id=opportunity_id, key=key, answer=answer)


def read(body: bytes) -> Decision | None:
    """The service's answer; None for what is none, such as the page of a proxy, or a yes without what it takes to ask."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict) or not isinstance(answer.get("ask"), bool) or not answer.get("reason"):
        return None
    question = answer.get("question")
    decision = Decision(
        ask=answer["ask"],
        reason=str(answer["reason"]),
        opportunity_id=_taken(answer.get("opportunity_id"), str),
        key=_taken(answer.get("key"), str),
        prediction_id=_taken(answer.get("prediction_id"), int),
        ask_id=_taken(answer.get("ask_id"), int),
        token=_taken(answer.get("token"), str),
        expires_at=_taken(answer.get("expires_at"), str),
        propensity=_number(answer.get("propensity")),
        is_blind=answer.get("is_blind") is True,
        policy_version=_taken(answer.get("policy_version"), int),
        question=question if isinstance(question, dict) else None,
        retry_after_seconds=_number(answer.get("retry_after_seconds")),
        answer=answer,
    )
    return None if decision.ask and (decision.question is None) else decision


def _taken(value: object, kind: type[Plain]) -> Plain | None:
    return value if isinstance(value, kind) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None

"""What an ask policy says, free of the database; the numbers are those of sampling.models.AskPolicy."""

from enum import StrEnum
from typing import Final

import msgspec

_DAY: Final = 86_400


class Reason(StrEnum):
    """Why somebody is asked or not. Gates refuse in this order: the first that applies is the reason."""

    OFF = "off"
    NO_QUESTION = "no_question"
    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"
    BLOCKED = "blocked"
    HOLDOUT = "holdout"
    QUIET = "quiet"
    CONCURRENT = "concurrent"
    COOLDOWN_SHOWN = "cooldown_shown"
    COOLDOWN_DISMISSED = "cooldown_dismissed"
    COOLDOWN_ANSWERED = "cooldown_answered"
    QUESTION_COOLDOWN = "question_cooldown"
    SESSION_CAP = "session_cap"
    WEEK_CAP = "week_cap"
    MONTH_CAP = "month_cap"
    LABELLED = "labelled"
    PRIVACY_BUDGET = "privacy_budget"
    SEGMENT_QUOTA = "segment_quota"
    BUDGET = "budget"
    DEGRADED = "degraded"
    # Past the gates, where chance decides.
    NOT_DRAWN = "not_drawn"
    SELECTED = "selected"
    AUDIT = "audit"
    CHECK = "check"

    @property
    def told(self) -> "Reason":
        """What the app is told: that an ask is a check must not reach whoever is checked."""
        return Reason.SELECTED if self is Reason.CHECK else self


GATES: Final = tuple(Reason)[: tuple(Reason).index(Reason.NOT_DRAWN)]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask, about what, and how often; see the model's fields for what each number means."""

    is_asking: bool = True
    needs_consent: bool = False
    holdout_share: float = 0.05
    cooldown_shown_seconds: int = _DAY
    cooldown_dismissed_seconds: int = 7 * _DAY
    cooldown_answered_seconds: int = 3 * _DAY
    question_cooldown_seconds: int = 7 * _DAY
    most_per_session: int = 1
    most_per_7_days: int = 2
    most_per_30_days: int = 6
    budget_asks: int | None = None
    budget_period_seconds: int = 30 * _DAY
    segment: str = ""
    segment_quotas: dict[str, int] = {}
    segment_targets: dict[str, float] = {}
    threshold: float = 0.3
    temperature: float = 0.1
    audit_share: float = 0.05
    least_propensity: float = 0.01
    most_propensity: float = 0.9
    check_share: float = 0.0
    check_until_answers: int = 5
    blind_share: float = 0.2
    fatigue_weight: float = 0.1
    fatigue_half_life_seconds: int = 7 * _DAY
    privacy_cap: float = 8.0

    @property
    def memory_seconds(self) -> int:
        """How far back asks of a respondent may matter."""
        return max(
            30 * _DAY,
            self.cooldown_shown_seconds,
            self.cooldown_dismissed_seconds,
            self.cooldown_answered_seconds,
            self.question_cooldown_seconds,
        )

"""Hard gates: what must hold before chance may decide. The first that refuses is the reason, in the order of `Reason`."""

from typing import NamedTuple

from sampling import pacing
from sampling.asking.policy import Policy, Reason
from sampling.asking.situation import Candidate, PastAsk, Situation

_WEEK = 7 * 86_400
_MONTH = 30 * 86_400
DEGRADED_RETRY_SECONDS = 5.0


class Refusal(NamedTuple):
    """`retry_after` is the seconds until this gate opens by itself, as far as can be told."""

    reason: Reason
    retry_after: float | None = None


class Passed(NamedTuple):
    """The places of the candidates that may be asked about, at least one."""

    eligible: tuple[int, ...]


def check(policy: Policy, situation: Situation) -> Refusal | Passed:
    """Put the situation to all gates.

    Returns
    -------
    The first refusal in the order of `Reason`, or the candidates that pass. A gate of the respondent refuses the whole
    opportunity; those of an item (labelled, quota) refuse it only when no candidate passes, or they would depend on
    which candidate comes first.

    Notes
    -----
    An ask counts for the clocks and caps from the moment it was offered, shown or not: whether an app showed it is not
    always reported, and too few asks do less harm than too many. A clock is over when its full time has passed.
    O(history + candidates).
    """
    refusal = _of_respondent(policy, situation) or _of_history(policy, situation.history)
    if refusal is not None:
        return refusal
    unlabelled = [
        place
        for place, each in enumerate(situation.candidates)
        if not each.is_labelled or is_check(policy, situation, each)
    ]
    if not unlabelled:
        return Refusal(Reason.LABELLED)
    needed = situation.epsilon_needed
    if needed is not None and situation.epsilon_spent + needed > policy.privacy_cap + 1e-9:
        return Refusal(Reason.PRIVACY_BUDGET)
    return _of_counters(policy, situation, unlabelled)


def is_check(policy: Policy, situation: Situation, candidate: Candidate) -> bool:
    """Whether asking about it would check the respondent, of whom little is known, and not the item, of which all is."""
    judged = situation.right_count + situation.wrong_count
    return candidate.is_gold and policy.check_share > 0.0 and judged < policy.check_until_answers


def _of_respondent(policy: Policy, situation: Situation) -> Refusal | None:
    if not policy.is_asking:
        return Refusal(Reason.OFF)
    if not situation.has_question or not situation.candidates:
        return Refusal(Reason.NO_QUESTION)
    if situation.consent is False or (policy.needs_consent and situation.consent is not True):
        return Refusal(Reason.NO_CONSENT)
    if situation.opted_out_seconds > 0:
        return Refusal(Reason.OPTED_OUT, situation.opted_out_seconds)
    if situation.is_blocked:
        return Refusal(Reason.BLOCKED)
    if situation.holdout_draw is not None and situation.holdout_draw < policy.holdout_share:
        return Refusal(Reason.HOLDOUT)
    return Refusal(Reason.QUIET) if situation.is_quiet else None


def _of_history(policy: Policy, history: tuple[PastAsk, ...]) -> Refusal | None:
    still_open = [ask.open_seconds for ask in history if ask.outcome == "open" and ask.open_seconds > 0]
    if still_open:
        return Refusal(Reason.CONCURRENT, max(still_open))
    asked = [ask.asked_age for ask in history]
    clocks = (
        (Reason.COOLDOWN_SHOWN, policy.cooldown_shown_seconds, asked),
        (Reason.COOLDOWN_DISMISSED, policy.cooldown_dismissed_seconds, _closed(history, "dismissed")),
        (Reason.COOLDOWN_ANSWERED, policy.cooldown_answered_seconds, _closed(history, "answered")),
        (
            Reason.QUESTION_COOLDOWN,
            policy.question_cooldown_seconds,
            [ask.asked_age for ask in history if ask.is_same_question],
        ),
    )
    for reason, seconds, ages in clocks:
        if ages and min(ages) < seconds:
            return Refusal(reason, seconds - min(ages))
    if sum(ask.is_same_session for ask in history) >= policy.most_per_session:
        return Refusal(Reason.SESSION_CAP)
    for reason, window, most in (
        (Reason.WEEK_CAP, _WEEK, policy.most_per_7_days),
        (Reason.MONTH_CAP, _MONTH, policy.most_per_30_days),
    ):
        inside = sorted(age for age in asked if age < window)
        if len(inside) >= most:
            # It opens when so many have left the window that there is room for one.
            return Refusal(reason, window - inside[most - 1] if most else None)
    return None


def _closed(history: tuple[PastAsk, ...], outcome: str) -> list[float]:
    return [ask.closed_age for ask in history if ask.outcome == outcome and ask.closed_age is not None]


def _of_counters(policy: Policy, situation: Situation, unlabelled: list[int]) -> Refusal | Passed:
    spending = situation.spending
    eligible = [place for place in unlabelled if not _is_quota_used(policy, situation.candidates[place])]
    if spending is not None:
        if not eligible:
            return Refusal(Reason.SEGMENT_QUOTA, policy.budget_period_seconds - spending.elapsed_seconds)
        if policy.budget_asks is not None:
            wait = pacing.seconds_until_allowed(
                budget=policy.budget_asks,
                spent=spending.spent,
                elapsed_seconds=spending.elapsed_seconds,
                period_seconds=policy.budget_period_seconds,
            )
            if wait > 0:
                return Refusal(Reason.BUDGET, wait)
        return Passed(tuple(eligible))
    return Refusal(Reason.DEGRADED, DEGRADED_RETRY_SECONDS)


def _is_quota_used(policy: Policy, candidate: Candidate) -> bool:
    quota = policy.segment_quotas.get(candidate.segment) if candidate.segment else None
    return quota is not None and candidate.quota_spent >= quota

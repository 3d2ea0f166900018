"""Ask policies: read the one in force, put a new version in force."""

import datetime as dt
import math
from typing import Final, TypedDict, Unpack

from django.contrib.auth.models import User
from django.db import transaction

from labeling.models import Project
from labeling.wire import LONGEST_SEGMENT
from sampling.asking.policy import Policy
from sampling.errors import InvalidPolicy
from sampling.models import AskPolicy

MOST_SEGMENT_VALUES: Final = 50
LONGEST_SECONDS: Final = 366 * 86_400
MOST_ASKS: Final = 100_000_000
MOST_PER_RESPONDENT: Final = 1_000


class AskPolicyChanges(TypedDict, total=False):
    """What a version says; see AskPolicy for the meaning of each field."""

    is_asking: bool
    needs_consent: bool
    holdout_share: float
    cooldown_shown_seconds: int
    cooldown_dismissed_seconds: int
    cooldown_answered_seconds: int
    question_cooldown_seconds: int
    most_per_session: int
    most_per_7_days: int
    most_per_30_days: int
    budget_asks: int | None
    budget_period_seconds: int
    segment: str
    segment_quotas: dict[str, int]
    segment_targets: dict[str, float]
    threshold: float
    temperature: float
    audit_share: float
    check_share: float
    check_until_answers: int
    least_propensity: float
    most_propensity: float
    blind_share: float
    fatigue_weight: float
    fatigue_half_life_seconds: int
    privacy_cap: float
    ask_lifetime_seconds: int
    logged_share_of_no: float


# The lowest and highest value of each number. Ends that are excluded are held by the checks of the table as well.
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "holdout_share": (0.0, 0.5),
    "cooldown_shown_seconds": (0, LONGEST_SECONDS),
    "cooldown_dismissed_seconds": (0, LONGEST_SECONDS),
    "cooldown_answered_seconds": (0, LONGEST_SECONDS),
    "question_cooldown_seconds": (0, LONGEST_SECONDS),
    "most_per_session": (0, MOST_PER_RESPONDENT),
    "most_per_7_days": (0, MOST_PER_RESPONDENT),
    "most_per_30_days": (0, MOST_PER_RESPONDENT),
    "budget_period_seconds": (3_600, LONGEST_SECONDS),
    "threshold": (-10.0, 10.0),
    "temperature": (0.001, 100.0),
    "audit_share": (0.0, 1.0),
    "check_share": (0.0, 1.0),
    "check_until_answers": (0, MOST_PER_RESPONDENT),
    "least_propensity": (0.0001, 1.0),
    "most_propensity": (0.0001, 1.0),
    "blind_share": (0.0, 1.0),
    "fatigue_weight": (0.0, 100.0),
    "fatigue_half_life_seconds": (1, LONGEST_SECONDS),
    "privacy_cap": (0.0, 1_000.0),
    "ask_lifetime_seconds": (60, 30 * 86_400),
    "logged_share_of_no": (0.0001, 1.0),
}


def current_policy(project: Project) -> AskPolicy:
    """The policy in force: the highest version. Creates version 1, the defaults, on first use."""
    policy = AskPolicy.objects.filter(project=project).order_by("-version").first()
    if policy is None:
        policy, _ = AskPolicy.objects.get_or_create(project=project, version=1)
    return policy


def pure(policy: AskPolicy) -> Policy:
    """The policy as sampling.asking takes it."""
    return Policy(**{name: getattr(policy, name) for name in Policy.__struct_fields__})


def budget_since(project: Project, policy: AskPolicy) -> dt.datetime:
    """From when on budget periods follow each other: when the first of the newest versions with this period came in force.

    So a budget that is new begins with a full period of its own, and one that is only raised or lowered keeps its pace.
    """
    since = policy.created_at
    versions = AskPolicy.objects.filter(project=project, version__lt=policy.version).order_by("-version")
    for seconds, budget, created_at in versions.values_list("budget_period_seconds", "budget_asks", "created_at"):
        if seconds != policy.budget_period_seconds or (budget is None) != (policy.budget_asks is None):
            break
        since = created_at
    return since


@transaction.atomic
def new_version(project: Project, *, by: User | None, **changes: Unpack[AskPolicyChanges]) -> AskPolicy:
    """Put the current policy with `changes` in force, within two seconds; the current one if nothing differs.

    Locks the project, so that versions are counted without gaps. Raises InvalidPolicy, naming every wrong field.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    current = current_policy(project)
    after = _changed(current, changes)
    if after == _said_by(current):
        return current
    return AskPolicy.objects.create(project=project, version=current.version + 1, created_by=by, **after)


def draft(project: Project, **changes: Unpack[AskPolicyChanges]) -> AskPolicy:
    """The current policy with `changes`, not saved. Raises InvalidPolicy, naming every wrong field."""
    current = current_policy(project)
    return AskPolicy(project=project, version=current.version + 1, **_changed(current, changes))


def _said_by(policy: AskPolicy) -> AskPolicyChanges:
    said: AskPolicyChanges = {}
    for name in AskPolicyChanges.__annotations__:
        said[name] = getattr(policy, name)  # type: ignore[literal-required]  # every name is one of the keys
    return said


def _changed(current: AskPolicy, changes: AskPolicyChanges) -> AskPolicyChanges:
    after: AskPolicyChanges = {**_said_by(current), **changes}
    if problems := _problems(after):
        raise InvalidPolicy("Some fields of the policy are not valid.", fields=problems)
    return after


def _problems(policy: AskPolicyChanges) -> dict[str, str]:
    problems = {}
    for name, (lowest, highest) in _RANGES.items():
        value = policy[name]  # type: ignore[literal-required]  # every name is one of the keys
        # NaN fails every comparison, so it is refused too.
        if not lowest <= value <= highest:
            problems[name] = f"must lie between {lowest:,.10g} and {highest:,.10g}"
    if "most_propensity" not in problems and policy["least_propensity"] > policy["most_propensity"]:
        problems["least_propensity"] = "must not be above most_propensity"
    budget = policy["budget_asks"]
    if budget is not None and not 0 <= budget <= MOST_ASKS:
        problems["budget_asks"] = f"must lie between 0 and {MOST_ASKS:,}, or be empty"
    if len(policy["segment"]) > LONGEST_SEGMENT:
        problems["segment"] = f"has at most {LONGEST_SEGMENT} characters"
    for name, values in (("segment_quotas", policy["segment_quotas"]), ("segment_targets", policy["segment_targets"])):
        if problem := _segment_problem(policy["segment"], values):
            problems[name] = problem
    if "segment_targets" not in problems and (problem := _targets_problem(policy["segment_targets"])):
        problems["segment_targets"] = problem
    if "segment_quotas" not in problems and not all(
        0 <= each <= MOST_ASKS for each in policy["segment_quotas"].values()
    ):
        problems["segment_quotas"] = f"must be whole numbers from 0 to {MOST_ASKS:,}"
    return problems


def _segment_problem(segment: str, values: dict[str, int] | dict[str, float]) -> str:
    if values and not segment:
        return "needs a segment whose values these are"
    if len(values) > MOST_SEGMENT_VALUES or any(not value or len(value) > LONGEST_SEGMENT for value in values):
        return f"must name at most {MOST_SEGMENT_VALUES} values of 1 to {LONGEST_SEGMENT} characters"
    return ""


def _targets_problem(targets: dict[str, float]) -> str:
    total = math.fsum(targets.values())
    if targets and not (all(0.0 <= share <= 1.0 for share in targets.values()) and 0.0 < total <= 1.0 + 1e-9):
        return "shares must lie between 0 and 1, and their sum above 0 and at most 1"
    return ""

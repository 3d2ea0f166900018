"""Queue policies: read the one in force, put a new version in force."""

from typing import Final, TypedDict, Unpack

from django.contrib.auth.models import User
from django.db import transaction

from labeling import selectors
from labeling.models import Project
from labeling.schema import KINDS
from labeling.services.queue_management import MOST_ANSWERS
from labeling.wire import LONGEST_SEGMENT
from sampling.batch_rules.registry import RULES
from sampling.errors import InvalidPolicy
from sampling.models import QueuePolicy
from sampling.selection import LARGEST_BETA
from sampling.strategies import registry
from sampling.strategies.inputs import NEEDS

LARGEST_BATCH: Final = 10_000
"""Open tasks are meant to be few: each was chosen by a model that is older when its turn comes."""


LARGEST_SHORTLIST: Final = 100
LATEST_HAND_OVER: Final = 1_000
MOST_TARGETS: Final = 50


class PolicyChanges(TypedDict, total=False):
    """What a version says; see QueuePolicy for the meaning of each field."""

    strategy: str
    score_source: str
    batch_rule: str
    shortlist_factor: int
    cold_start: str
    hand_over_labels_per_class: int
    segment: str
    segment_targets: dict[str, float]
    falls_back: bool
    stop_below_gain: float
    beta: float
    epsilon: float
    batch_size: int
    low_watermark: int
    answers_per_item: int


def current_policy(project: Project) -> QueuePolicy:
    """The policy in force: the highest version. Creates version 1, the defaults of the project's task type, on first use."""
    policy = QueuePolicy.objects.filter(project=project).order_by("-version").first()
    if policy is None:
        strategy = registry.default_for(selectors.current_schema(project).kind)
        policy, _ = QueuePolicy.objects.get_or_create(project=project, version=1, defaults={"strategy": strategy})
    return policy


@transaction.atomic
def new_version(project: Project, *, by: User | None, **changes: Unpack[PolicyChanges]) -> QueuePolicy:
    """Put the current policy with `changes` in force, from the next refill on; the current one if nothing differs.

    Locks the project, so that versions are counted without gaps. Raises InvalidPolicy, naming every wrong field.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    current = current_policy(project)
    after = _changed(project, current, changes)
    if after == _said_by(current):
        return current
    return QueuePolicy.objects.create(project=project, version=current.version + 1, created_by=by, **after)


def draft(project: Project, **changes: Unpack[PolicyChanges]) -> QueuePolicy:
    """The current policy with `changes`, not saved. Raises InvalidPolicy, naming every wrong field."""
    current = current_policy(project)
    return QueuePolicy(project=project, version=current.version + 1, **_changed(project, current, changes))


def _said_by(policy: QueuePolicy) -> PolicyChanges:
    return PolicyChanges(
        strategy=policy.strategy,
        score_source=policy.score_source,
        batch_rule=policy.batch_rule,
        shortlist_factor=policy.shortlist_factor,
        cold_start=policy.cold_start,
        hand_over_labels_per_class=policy.hand_over_labels_per_class,
        segment=policy.segment,
        segment_targets=policy.segment_targets,
        falls_back=policy.falls_back,
        stop_below_gain=policy.stop_below_gain,
        beta=policy.beta,
        epsilon=policy.epsilon,
        batch_size=policy.batch_size,
        low_watermark=policy.low_watermark,
        answers_per_item=policy.answers_per_item,
    )


def _changed(project: Project, current: QueuePolicy, changes: PolicyChanges) -> PolicyChanges:
    after: PolicyChanges = {**_said_by(current), **changes}
    if problems := _problems(after, kind=selectors.current_schema(project).kind):
        raise InvalidPolicy("Some fields of the policy are not valid.", fields=problems)
    return after


def _targets_problem(segment: str, targets: dict[str, float]) -> str:
    if bool(segment) != bool(targets):
        return "needs both a segment and shares of its values, or neither"
    if not targets:
        return ""
    if len(targets) > MOST_TARGETS or any(not value or len(value) > LONGEST_SEGMENT for value in targets):
        return f"must name at most {MOST_TARGETS} values of 1 to {LONGEST_SEGMENT} characters"
    # NaN fails every comparison, so it is refused too.
    if not all(0.0 <= share <= 1.0 for share in targets.values()) or not 0.0 < sum(targets.values()) <= 1.0 + 1e-9:
        return "shares must lie between 0 and 1, and their sum above 0 and at most 1"
    return ""


def _problems(policy: PolicyChanges, *, kind: str) -> dict[str, str]:
    problems = {}
    if policy["strategy"] not in (fitting := registry.fitting(kind, frozenset(NEEDS))):
        problems["strategy"] = f"must be one of those that fit a {kind} label schema: {', '.join(fitting)}"
    elif policy["score_source"] != "surrogate" and policy["strategy"] not in registry.fitting(kind):
        problems["strategy"] = (
            "this strategy needs what only a surrogate has, a committee or vectors: let one score the pool"
        )
    if policy["score_source"] not in (known := QueuePolicy.ScoreSource.values):
        problems["score_source"] = f"must be one of: {', '.join(known)}"
    elif policy["score_source"] == "surrogate" and KINDS[kind].prediction_form != "distribution":
        problems["score_source"] = f"surrogates cannot learn answers of this task type ({kind})"
    if policy["batch_rule"] not in (known := QueuePolicy.BatchRule.values):
        problems["batch_rule"] = f"must be one of: {', '.join(known)}"
    elif "predictions" in RULES[policy["batch_rule"]].needs and KINDS[kind].prediction_form != "distribution":
        problems["batch_rule"] = (
            f"this rule needs class probabilities, which models do not give for this task type ({kind})"
        )
    if policy["cold_start"] not in (known := QueuePolicy.ColdStart.values):
        problems["cold_start"] = f"must be one of: {', '.join(known)}"
    if not 1 <= policy["shortlist_factor"] <= LARGEST_SHORTLIST:
        problems["shortlist_factor"] = f"must lie between 1 and {LARGEST_SHORTLIST}"
    if not 0 <= policy["hand_over_labels_per_class"] <= LATEST_HAND_OVER:
        problems["hand_over_labels_per_class"] = f"must lie between 0 and {LATEST_HAND_OVER:,}"
    if problem := _targets_problem(policy["segment"], policy["segment_targets"]):
        problems["segment_targets"] = problem
    if not 0.0 <= policy["stop_below_gain"] <= 1.0:
        problems["stop_below_gain"] = "must lie between 0 and 1"
    # NaN fails every comparison, so it is refused too.
    if not 0.0 <= policy["beta"] <= LARGEST_BETA:
        problems["beta"] = f"must lie between 0 and {LARGEST_BETA:g}"
    if not 0.0 <= policy["epsilon"] <= 1.0:
        problems["epsilon"] = "must lie between 0 and 1"
    if not 1 <= policy["batch_size"] <= LARGEST_BATCH:
        problems["batch_size"] = f"must lie between 1 and {LARGEST_BATCH:,}"
    if not 0 <= policy["low_watermark"] <= policy["batch_size"]:
        problems["low_watermark"] = "must lie between 0 and the batch size"
    if not 1 <= policy["answers_per_item"] <= MOST_ANSWERS:
        problems["answers_per_item"] = f"must lie between 1 and {MOST_ANSWERS}"
    return problems

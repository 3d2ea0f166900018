"""Retraining policies: read the one in force, put a new version in force."""

from typing import Final, TypedDict, Unpack

from django.contrib.auth.models import User
from django.db import transaction

from labeling.models import Project
from training.errors import InvalidPolicy
from training.models import RetrainingPolicy
from training.trainers import registry

LARGEST_COUNT: Final = 2**31 - 1


class PolicyChanges(TypedDict, total=False):
    """What a version says; see RetrainingPolicy for the meaning of each field."""

    trainer: str
    min_new_labels: int
    growth_fraction: float
    cooldown_seconds: int
    promotes_automatically: bool


def current_policy(project: Project) -> RetrainingPolicy:
    """The policy in force: the highest version. Creates version 1, all defaults, on first use."""
    policy = RetrainingPolicy.objects.filter(project=project).order_by("-version").first()
    if policy is None:
        policy, _ = RetrainingPolicy.objects.get_or_create(project=project, version=1)
    return policy


@transaction.atomic
def new_version(project: Project, *, by: User | None, **changes: Unpack[PolicyChanges]) -> RetrainingPolicy:
    """Put the current policy with `changes` in force at once; the current one if nothing differs.

    Locks the project, so that versions are counted without gaps. Raises InvalidPolicy, naming every wrong field.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    current = current_policy(project)
    before = PolicyChanges(
        trainer=current.trainer,
        min_new_labels=current.min_new_labels,
        growth_fraction=current.growth_fraction,
        cooldown_seconds=current.cooldown_seconds,
        promotes_automatically=current.promotes_automatically,
    )
    after: PolicyChanges = {**before, **changes}
    if problems := _problems(after):
        raise InvalidPolicy("Some fields of the policy are not valid.", fields=problems)
    if after == before:
        return current
    return RetrainingPolicy.objects.create(project=project, version=current.version + 1, created_by=by, **after)


def _problems(policy: PolicyChanges) -> dict[str, str]:
    problems = {}
    if policy["trainer"] not in registry.names():
        problems["trainer"] = f"must be one of: {', '.join(registry.names())}"
    if not 0 <= policy["min_new_labels"] <= LARGEST_COUNT:
        problems["min_new_labels"] = "must be a whole number, 0 or more; 0 turns the trigger off"
    # NaN fails every comparison, so it is refused too.
    if not 0.0 <= policy["growth_fraction"] <= 100.0:
        problems["growth_fraction"] = "must lie between 0 and 100"
    if not 0 <= policy["cooldown_seconds"] <= LARGEST_COUNT:
        problems["cooldown_seconds"] = "must be a whole number, 0 or more"
    return problems

"""Retention policies: read the one in force, put a new version in force, and how long things are kept by it."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypedDict, Unpack

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from labeling.errors import InvalidInput
from labeling.models import Project, RetentionPolicy, RetentionRun
from labeling.models.retention import DAYS

MOST_DAYS: Final = 36_500
_OF_INSTALLATION: Final[Mapping[str, str]] = MappingProxyType(
    {
        "opinion_days": "FEEDBACK_KEEP_DAYS",
        "behaviour_days": "FEEDBACK_KEEP_DAYS",
        "text_days": "RESPONDENT_KEEP_DAYS",
        "respondent_days": "RESPONDENT_KEEP_DAYS",
        "decision_days": "ASK_DECISION_KEEP_DAYS",
    }
)


class RetentionChanges(TypedDict, total=False):
    """What a version says; see RetentionPolicy for the meaning of each field. None: as long as the installation does."""

    opinion_days: int | None
    behaviour_days: int | None
    text_days: int | None
    respondent_days: int | None
    idle_respondent_days: int | None
    decision_days: int | None


def most_days(name: str) -> int | None:
    """The installation's maximum, which no project exceeds; None where it sets none."""
    setting = _OF_INSTALLATION.get(name)
    return (getattr(settings, setting) or None) if setting else None


def current_policy(project: Project) -> RetentionPolicy:
    """The policy in force: the highest version. Without one, version 0 that is not saved: the installation's days."""
    saved = RetentionPolicy.objects.filter(project=project).order_by("-version").first()
    return saved or RetentionPolicy(project=project, version=0)


def days_of(policy: RetentionPolicy) -> dict[str, int]:
    """By field, how many days something is kept: the shorter of the policy's and the installation's. What is kept for ever is missing.

    Free texts alone are the project's matter: an installation's RESPONDENT_KEEP_DAYS blanks comments, with the respondents.
    """
    found: dict[str, int] = {}
    for name in DAYS:
        said: int | None = getattr(policy, name)
        most = most_days(name) if name != "text_days" else None
        if given := [days for days in (said, most) if days is not None]:
            found[name] = min(given)
    return found


@transaction.atomic
def new_version(project: Project, *, by: User | None, **changes: Unpack[RetentionChanges]) -> RetentionPolicy:
    """Put the current policy with `changes` in force; the current one if nothing differs. Sweeps follow it within six hours,
    and what they delete is gone for good.

    Locks the project, so that versions are counted without gaps. Raises InvalidInput `invalid_policy`, naming every wrong field.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    current = current_policy(project)
    after = _changed(current, changes)
    if current.version and all(after[name] == getattr(current, name) for name in DAYS):
        return current
    return RetentionPolicy.objects.create(project=project, version=current.version + 1, created_by=by, **after)


def draft(project: Project, **changes: Unpack[RetentionChanges]) -> RetentionPolicy:
    """The current policy with `changes`, not saved. Raises InvalidInput, naming every wrong field."""
    current = current_policy(project)
    return RetentionPolicy(project=project, version=current.version + 1, **_changed(current, changes))


def _changed(current: RetentionPolicy, changes: RetentionChanges) -> dict[str, int | None]:
    after: dict[str, int | None] = {name: getattr(current, name) for name in DAYS}
    given: dict[str, int | None] = {**changes}  # type: ignore[dict-item]  # every value is one of these
    problems = {}
    for name, days in given.items():
        most = most_days(name)
        if days is not None and most is not None and days > most:
            problems[name] = f"must not exceed the installation's {most:,} days"
        elif days is not None and not 1 <= days <= MOST_DAYS:
            problems[name] = f"must lie between 1 and {MOST_DAYS:,}, or be empty"
    if problems:
        raise InvalidInput("Some fields of the policy are not valid.", code="invalid_policy", fields=problems)
    return after | given


class Trail:
    """The record of one sweep over one project; a row is written with the first batch."""

    def __init__(self, policy: RetentionPolicy, *, now: dt.datetime) -> None:
        self._run = RetentionRun(
            project_id=policy.project_id,
            policy=policy if policy.pk else None,
            days=days_of(policy),
            started_at=now,
            ended_at=now,
        )

    def add(self, name: str, count: int, *, at: dt.datetime) -> None:
        """Note a batch. Call it in the transaction that the batch is deleted in."""
        self._run.counts[name] = self._run.counts.get(name, 0) + count
        self._run.ended_at = at
        self._run.save()

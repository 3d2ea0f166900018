"""What a retention policy would delete and blank if a sweep ran now."""

import datetime as dt
from dataclasses import dataclass

from labeling.models import RetentionPolicy
from labeling.models.retention import DAYS
from labeling.services import retention, retention_policies
from labeling.services.retention_policies import days_of
from sampling.services import ask_log


@dataclass(frozen=True)
class Due:
    """Of one field of the policy: the days that hold, and how many rows are older. `is_more`: there are more than were counted."""

    name: str
    days: int | None
    most_days: int | None
    rows: int
    is_more: bool


def preview(policy: RetentionPolicy, *, now: dt.datetime) -> list[Due]:
    """Every field of the policy, saved or a draft, in its order. Counts at most 100,000 rows a table; changes nothing.

    A row that several fields name, such as a comment, is counted under each.
    """
    days = days_of(policy)
    parts = retention.due(policy, now=now)
    if (decisions := ask_log.due(policy, now=now)) is not None:
        parts[ask_log.DAYS] = [decisions]
    found = []
    for name in DAYS:
        counts = [retention.count(part) for part in parts.get(name, [])]
        rows = sum(min(each, retention.MOST_COUNTED) for each in counts)
        is_more = any(each > retention.MOST_COUNTED for each in counts)
        found.append(Due(name, days.get(name), retention_policies.most_days(name), rows, is_more))
    return found

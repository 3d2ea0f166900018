"""From evidence to accepted labels, by votes or by the label model, as the project's policy says."""

import datetime as dt
from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
from django.db import transaction

from datasets import selectors
from datasets.consensus.acceptance import Action
from datasets.models import AcceptancePolicy, ItemBelief, PendingEvidence, PendingItem, ReviewCase
from datasets.services import (
    acceptance_policies,
    belief_labels,
    beliefs,
    disagreements,
    label_rows,
    overlap,
    pool_states,
    review,
    review_cases,
    vote_labels,
)
from datasets.services.beliefs import Setting, Worked
from labeling import news
from labeling.locks import LockKind, hold_until_commit
from labeling.models import Annotation, Project

_EVENTS_PER_TRANSACTION: Final = 1000


class _Events(NamedTuple):
    """What is pending, by its rows and by the items it is about."""

    evidence: list[tuple[int, int, int]]
    """Row, annotation, item."""
    items: list[tuple[int, int]]
    """Row, item."""

    @property
    def item_ids(self) -> set[int]:
        return {item_id for *_, item_id in self.evidence} | {item_id for _, item_id in self.items}

    @property
    def are_all(self) -> bool:
        return max(len(self.evidence), len(self.items)) < _EVENTS_PER_TRANSACTION


def accept_pending(project_id: int, *, now: dt.datetime) -> int:
    """Make the accepted labels of the project say what is known of its items; return how many items changed.

    By votes: every item that anything pending is about has a current label afterwards if and only if a reviewer's decision
    stands, or a task about it has all the answers it wants and somebody trusted gave one of them and did not withdraw it; answers that lie
    too far apart to be merged are a review case instead. By the label model: if and only if its belief, worked out anew, is to be accepted; then queue and review cases follow too. While there is no fit
    to go by, what is pending stays. A label that no longer holds is superseded, and a new row follows; no row is edited otherwise.

    Works on what is pending only, in transactions of at most 2,000 events that take turns by an advisory lock a
    project. Safe to run twice or at once: a belief is worked out from the evidence as it is, not from the
    events. Tells `news.labels_accepted` after each commit that changed something.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        PendingItem.objects.filter(project=project_id).delete()  # no constraint takes them along
        return 0
    changed = 0
    setting: Setting | None = None
    is_done = False
    while not is_done:
        with transaction.atomic():
            hold_until_commit(LockKind.ACCEPTANCE, project_id)
            # Read before the evidence: whatever changes later leaves an event of its own, which stays.
            setting = beliefs.setting_of(project)
            events = _pending(project_id, is_by_votes=setting is None)
            changed_here = _by_votes(project, events, now) if setting is None else _by_belief(setting, events, now)
            if changed_here is None:
                return changed
            _open_flagged(project, events, now)
            PendingEvidence.objects.filter(pk__in=[pk for pk, *_ in events.evidence]).delete()
            PendingItem.objects.filter(pk__in=[pk for pk, _ in events.items]).delete()
            if changed_here:
                news.tell(news.labels_accepted, project_id=project_id)
        changed += changed_here
        is_done = events.are_all
    if setting is not None:
        overlap.keep_up(project, now=now)
        review_cases.settle(project, now=now)
    elif AcceptancePolicy.objects.filter(project=project).exists():
        overlap.wind_up(project, now=now)  # it may have gone by the label model before
    return changed


def _pending(project_id: int, *, is_by_votes: bool) -> _Events:
    evidence = selectors.acceptable_evidence() if is_by_votes else PendingEvidence.objects.all()
    return _Events(
        list(
            evidence.filter(project_id=project_id)
            .order_by("id")
            .values_list("pk", "annotation_id", "annotation__item_id")[:_EVENTS_PER_TRANSACTION]
        ),
        list(
            PendingItem.objects.filter(project_id=project_id)
            .order_by("id")
            .values_list("pk", "item_id")[:_EVENTS_PER_TRANSACTION]
        ),
    )


def _by_votes(project: Project, events: _Events, now: dt.datetime) -> int:
    item_ids = events.item_ids
    if not item_ids:
        return 0
    votes = vote_labels.votes(item_ids, acceptance_policies.current_policy(project))
    ambiguous = review.ambiguous_items(item_ids)
    wanted = {item_id: label for item_id, label in votes.wanted.items() if item_id not in ambiguous}
    changed = label_rows.bring_up_to_date(project.pk, item_ids, wanted, holds=vote_labels.holds, now=now)
    # Answers of tasks see to the pool themselves.
    pool_states.follow_labels({item_id for _, item_id in events.items} - ambiguous)
    review_cases.open_cases(project, votes.unsettled.items(), now=now)
    disagreements.settle(project, now=now, item_ids=item_ids)
    return changed


def _by_belief(setting: Setting, events: _Events, now: dt.datetime) -> int | None:
    """None while there is no fit to go by."""
    project, item_ids = setting.project, events.item_ids
    if not item_ids:
        return 0
    worked = beliefs.update(setting, item_ids, now=now)
    if worked is None:
        return None
    ambiguous = review.ambiguous_items(item_ids)
    believed = belief_labels.wanted(setting, worked)
    wanted = {item_id: label for item_id, label in believed.items() if item_id not in ambiguous}
    changed = label_rows.bring_up_to_date(project.pk, item_ids, wanted, holds=belief_labels.holds, now=now)
    pool_states.follow_labels(item_ids - ambiguous)
    review_cases.open_cases(project, _to_review(worked), now=now)
    return changed


def _to_review(worked: Worked) -> list[tuple[int, float]]:
    places = np.flatnonzero(worked.decisions.action == Action.REVIEW)
    ids, values = worked.gathered.item_ids[places].tolist(), worked.decisions.value[places].tolist()
    return list(zip(ids, values, strict=True))


def _open_flagged(project: Project, events: _Events, now: dt.datetime) -> None:
    """Have reviewers look where an annotator asked them to."""
    ids: Collection[int] = [annotation_id for _, annotation_id, _ in events.evidence]
    flagged = Annotation.objects.filter(pk__in=ids, is_flagged=True, withdrawn_at__isnull=True)
    item_ids = set(flagged.values_list("item_id", flat=True)) if ids else set()
    if item_ids:
        value_of = dict(ItemBelief.objects.filter(item__in=item_ids).values_list("item_id", "value"))
        valued = [(item_id, value_of.get(item_id, 0.0)) for item_id in sorted(item_ids)]
        review_cases.open_cases(project, valued, now=now, kind=ReviewCase.Kind.FLAGGED)

"""How far sources are trusted: what reviewers decide about them, and the trail of every change."""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypedDict

from django.contrib.auth.models import User
from django.db import transaction

from datasets.errors import OwnStanding, StandingChanged, StandingNotFound
from datasets.models import SourceDecision, SourceStanding
from datasets.services import pending
from labeling import access
from labeling.access import Capability
from labeling.errors import InvalidInput, NotAllowed
from labeling.models import Annotation, AnnotationTask, Correction, Feedback, Membership, Project, Respondent

Step = SourceStanding.Step
LONGEST_COMMENT: Final = 2_000
WEIGHT_UNLESS_SAID: Final = 0.5


class StoredReason(TypedDict):
    """A finding as it is kept: see datasets.consensus.source_quality.suggestion.Reason."""

    family: str
    nats: float
    text: str


class Action(StrEnum):
    """What a reviewer may do about a source. KEEP leaves the step as it is, and makes it a person's decision."""

    RELEASE = "release"
    KEEP = "keep"
    WEIGHT = "weight"
    QUARANTINE = "quarantine"
    SHADOW_IGNORE = "shadow_ignore"
    BLOCK = "block"


NAMES: Final = {
    Action.RELEASE: "Trust",
    Action.KEEP: "Keep as it is",
    Action.WEIGHT: "Count less",
    Action.QUARANTINE: "Put in quarantine",
    Action.SHADOW_IGNORE: "Ignore silently",
    Action.BLOCK: "Block",
}
_STEP_OF: Final = {
    Action.RELEASE: Step.NONE,
    Action.WEIGHT: Step.WEIGHT,
    Action.QUARANTINE: Step.QUARANTINE,
    Action.SHADOW_IGNORE: Step.SHADOW_IGNORE,
    Action.BLOCK: Step.BLOCK,
}


def meaning(action: Action) -> str:
    """What it does, in a sentence or two."""
    return _STEP_OF[action].meaning if action in _STEP_OF else "Nothing changes but that it is your decision now."


def total_nats(reasons: Sequence[StoredReason]) -> float:
    """How strong all findings together are."""
    return sum(reason["nats"] for reason in reasons)


@transaction.atomic
def decide(
    project: Project,
    standing_id: int,
    *,
    action: Action,
    by: User,
    now: dt.datetime,
    last_decision_id: int | None,
    comment: str = "",
    weight: float = WEIGHT_UNLESS_SAID,
) -> SourceStanding:
    """Let a person decide about a source; the examination does not overrule it without new answers.

    Parameters
    ----------
    last_decision_id
        The newest decision about the source that the person has seen; None if there was none. If another one came
        meanwhile, nothing changes.
    weight
        Of the action WEIGHT, between 0 and 1.

    Locks the standing. BLOCK shuts an annotator out of labeling and has a respondent asked no more; RELEASE lets them in again.
    Raises StandingNotFound, StandingChanged, OwnStanding, NotAllowed `blocks_a_manager`, InvalidInput `comment_required` or
    `invalid_weight`.
    """
    comment = comment.strip()
    _check(action, comment, weight)
    standing = (
        SourceStanding.objects.select_for_update(of=["self"])
        .select_related("annotator")
        .filter(project=project, pk=standing_id)
        .first()
    )
    if standing is None:
        raise StandingNotFound("There is no such source in this project.")
    _require_may_decide(standing, action, by)
    newest = standing.decisions.select_related("decided_by").first()
    if (newest.pk if newest else None) != last_decision_id:
        raise _changed(newest)
    before = standing.step
    step = Step(before) if action == Action.KEEP else _STEP_OF[action]
    kept_weight = standing.weight if action == Action.KEEP else weight_of(step, weight)
    standing.decided_by, standing.answers_when_decided = by, standing.answers
    standing.nats_when_decided = total_nats(standing.reasons)
    change(standing, step, kept_weight, now=now).save()
    SourceDecision.objects.create(
        standing=standing, step_before=before, step_after=step, weight_after=kept_weight, reasons=standing.reasons,
        comment=comment, decided_by=by, decided_at=now,
    )  # fmt: skip
    shut_out_or_let_in(standing, before)
    if pending.goes_by_label_model(project):
        pending.note_items(project, items_of(standing))
    return standing


def weight_of(step: SourceStanding.Step, weight: float) -> float:
    """What evidence counts at a step; only of WEIGHT it is a matter of choice."""
    if step == Step.WEIGHT:
        return weight
    return 1.0 if step == Step.NONE else 0.0


def change(standing: SourceStanding, step: SourceStanding.Step, weight: float, *, now: dt.datetime) -> SourceStanding:
    """Set step and weight of the row, and when; the caller saves it and writes the decision."""
    standing.step, standing.weight, standing.changed_at = step, weight, now
    return standing


def shut_out_or_let_in(standing: SourceStanding, step_before: str) -> None:
    """Have labeling and asking follow a change to BLOCK or away from it."""
    if (standing.step == Step.BLOCK) == (step_before == Step.BLOCK):
        return
    is_out = standing.step == Step.BLOCK
    if standing.annotator_id is None:
        Respondent.objects.update_or_create(
            project_id=standing.project_id,
            respondent_hash=standing.respondent_hash,
            defaults={"is_blocked": is_out},
        )
        return
    membership = Membership.objects.filter(project_id=standing.project_id, user_id=standing.annotator_id)
    if not is_out:
        membership.filter(stage=Membership.Stage.BLOCKED).update(stage=Membership.Stage.WORKING)
        return
    membership.update(stage=Membership.Stage.BLOCKED)
    held = AnnotationTask.objects.filter(
        project_id=standing.project_id, state=AnnotationTask.State.OPEN, leased_to_id=standing.annotator_id
    )
    held.update(leased_to=None, lease_expires_at=None)


def items_of(standing: SourceStanding) -> set[int]:
    """The items that the source said anything about."""
    if standing.annotator_id is not None:
        said = Annotation.objects.filter(annotator_id=standing.annotator_id, item__project_id=standing.project_id)
        return set(said.values_list("item_id", flat=True))
    found: set[int] = set()
    for model in (Correction, Feedback):
        rows = model._default_manager.filter(
            project_id=standing.project_id, respondent_hash=standing.respondent_hash, item__isnull=False
        )
        found.update(rows.values_list("item_id", flat=True))
    return found


def manages(project_id: int, user_ids: Sequence[int]) -> set[int]:
    """Those of them who manage the project."""
    members = Membership.objects.filter(project_id=project_id, user_id__in=user_ids).values_list("user_id", "role")
    return {user_id for user_id, role in members if Capability.MANAGE in access.of_role(role)}


# -- inside ------------------------------------------------------------------------------------------------------


def _check(action: Action, comment: str, weight: float) -> None:
    if len(comment) > LONGEST_COMMENT:
        raise InvalidInput(f"A comment has at most {LONGEST_COMMENT} characters.", fields={"comment": "too long"})
    if action == Action.BLOCK and not comment:
        raise InvalidInput("Say why the source is blocked.", code="comment_required", fields={"comment": "missing"})
    if action == Action.WEIGHT and not 0.0 < weight < 1.0:
        raise InvalidInput("A weight is above 0 and below 1.", code="invalid_weight", fields={"weight": "out of range"})


def _require_may_decide(standing: SourceStanding, action: Action, by: User) -> None:
    """Nobody judges themselves but who runs the project, since there may be nobody else; and only they block their like."""
    if standing.annotator_id is None or by.is_superuser:
        return
    people = manages(standing.project_id, [by.pk, standing.annotator_id])
    if standing.annotator_id == by.pk and by.pk not in people:
        raise OwnStanding("Somebody else must decide about your own answers.")
    if action == Action.BLOCK and standing.annotator_id in people and by.pk not in people:
        raise NotAllowed("Only who manages the project may block somebody who does.", code="blocks_a_manager")


def _changed(newest: SourceDecision | None) -> StandingChanged:
    if newest is None:
        return StandingChanged("Nobody has decided about this source yet; load it again.", fields={})
    who = newest.decided_by.get_username() if newest.decided_by else "the examination"
    step = newest.get_step_after_display()
    at = newest.decided_at.astimezone(dt.UTC)
    return StandingChanged(
        f"Meanwhile {who} decided “{step}” ({at:%d %b %Y, %H:%M} UTC). Nothing was changed by you: look again.",
        fields={
            "decided_by": who,
            "decided_at": at.isoformat(),
            "step": newest.step_after,
            "last_decision_id": str(newest.pk),
        },
    )

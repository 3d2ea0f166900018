"""Acceptance policies: read the one in force, put a new version in force."""

import math
from typing import Final, TypedDict, Unpack

from django.contrib.auth.models import User
from django.db import connection, transaction

from datasets.consensus import acceptance
from datasets.consensus.evidence import Kind
from datasets.errors import AcceptancePolicyOutdated, InvalidAcceptancePolicy
from datasets.models import AcceptancePolicy, ItemBelief
from labeling import news, selectors
from labeling.models import Project
from labeling.schema import SingleChoice
from labeling.services.queue_management import MOST_ANSWERS

MOST_EVIDENCE: Final = 100
_MORE_THAN_ASKED: Final = "must not be above the answers after which a reviewer looks (most_answers): more would be needed than are ever asked for"
_Method = AcceptancePolicy.Method


class AcceptancePolicyChanges(TypedDict, total=False):
    """What a version says; see AcceptancePolicy for the meaning of each field."""

    method: str
    threshold: float
    thresholds_by_class: dict[str, float]
    least_evidence: int
    least_annotations: int
    most_answers: int
    draws_first: bool
    uses_corrections: bool
    uses_thumbs: bool
    uses_implicit: bool
    uses_model: bool
    review_accuracy: float


def current_policy(project: Project) -> AcceptancePolicy:
    """The policy in force: the highest version. Before the first one is saved, the defaults as version 0: by votes."""
    newest = AcceptancePolicy.objects.filter(project=project).order_by("-version").first()
    return newest or AcceptancePolicy(project=project, version=0, method=_Method.VOTES)


def pure(policy: AcceptancePolicy, classes: tuple[str, ...]) -> acceptance.AcceptancePolicy:
    """The policy as datasets.consensus takes it, with the classes at these positions. Thresholds of others are left out."""
    place = {key: position for position, key in enumerate(classes)}
    return acceptance.AcceptancePolicy(
        threshold=policy.threshold,
        least_evidence=policy.least_evidence,
        by_class={place[key]: value for key, value in policy.thresholds_by_class.items() if key in place},
        least_by_kind={Kind.ANNOTATION: policy.least_annotations},
        most_answers=policy.most_answers,
    )


@transaction.atomic
def new_version(
    project: Project, *, by: User | None, based_on: int | None = None, **changes: Unpack[AcceptancePolicyChanges]
) -> AcceptancePolicy:
    """Put the current policy with `changes` in force; the current one if nothing differs.

    `based_on` is the version that the caller has seen; with another one in force nothing is changed. Every item that
    anything is known of is then looked at anew, so that labels follow the new policy; a fit of the label model becomes due. Locks the project, so
    that versions are counted without gaps.

    Raises InvalidAcceptancePolicy, naming every wrong field, and AcceptancePolicyOutdated.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    current = current_policy(project)
    if based_on is not None and based_on != current.version:
        raise AcceptancePolicyOutdated(
            f"Version {current.version} is in force by now: look at it before you change it."
        )
    after: AcceptancePolicyChanges = {**_said_by(current), **changes}
    _require_valid(project, after)
    if after == _said_by(current):
        return current
    policy = AcceptancePolicy.objects.create(project=project, version=current.version + 1, created_by=by, **after)
    if _Method.LABEL_MODEL in (current.method, policy.method):
        _note_everything(project)
        if policy.method == _Method.VOTES:
            # They are nobody's belief any more, and would be old by the time they were again.
            ItemBelief.objects.filter(project=project).delete()
        news.tell(news.annotation_recorded, project_id=project.pk)
    return policy


def _said_by(policy: AcceptancePolicy) -> AcceptancePolicyChanges:
    said: AcceptancePolicyChanges = {}
    for name in AcceptancePolicyChanges.__annotations__:
        said[name] = getattr(policy, name)  # type: ignore[literal-required]  # every name is one of the keys
    return said


def _require_valid(project: Project, policy: AcceptancePolicyChanges) -> None:
    schema = selectors.parsed_schema(project)
    if policy["method"] == _Method.LABEL_MODEL and not isinstance(schema, SingleChoice):
        raise InvalidAcceptancePolicy(
            "The label model works out one class of each item: it needs a label schema of the kind single_choice.",
            code="label_model_needs_single_choice",
            fields={"method": "needs a label schema of the kind single_choice"},
        )
    known = {each.key for each in schema.label_classes}
    if problems := _problems(policy, known):
        raise InvalidAcceptancePolicy("Some fields of the policy are not valid.", fields=problems)


def _problems(policy: AcceptancePolicyChanges, classes: set[str]) -> dict[str, str]:
    problems = {}
    if policy["method"] not in _Method.values:
        problems["method"] = f"must be one of: {', '.join(_Method.values)}"
    # NaN fails every comparison, so it is refused too.
    if not 0.0 < policy["threshold"] <= 1.0:
        problems["threshold"] = "must lie above 0 and be at most 1"
    if unknown := sorted(policy["thresholds_by_class"].keys() - classes):
        problems["thresholds_by_class"] = f"names no class of the label schema: {', '.join(unknown)[:200]}"
    elif not all(0.0 < each <= 1.0 for each in policy["thresholds_by_class"].values()):
        problems["thresholds_by_class"] = "each must lie above 0 and be at most 1"
    if not 1 <= policy["most_answers"] <= MOST_ANSWERS:
        problems["most_answers"] = f"must lie between 1 and {MOST_ANSWERS}"
    if not 1 <= policy["least_evidence"] <= MOST_EVIDENCE:
        problems["least_evidence"] = f"must lie between 1 and {MOST_EVIDENCE}"
    elif not (policy["uses_thumbs"] or policy["uses_implicit"]) and policy["least_evidence"] > policy["most_answers"]:
        # Thumbs and clicks are sources that nobody is asked for as an answer: with them there may be more.
        problems["least_evidence"] = _MORE_THAN_ASKED
    if policy["least_annotations"] < 0:
        problems["least_annotations"] = "must not be below 0"
    elif "most_answers" not in problems and policy["least_annotations"] > policy["most_answers"]:
        problems["least_annotations"] = _MORE_THAN_ASKED
    if not 0.0 < policy["review_accuracy"] < 1.0 or not math.isfinite(policy["review_accuracy"]):
        problems["review_accuracy"] = "must lie between 0 and 1"
    elif classes and policy["review_accuracy"] <= 1.0 / len(classes):
        problems["review_accuracy"] = "must be better than a guess"
    return problems


# What was said of an item, or is believed of it: by anybody, in any way.
_NOTE_EVERYTHING: Final = """
INSERT INTO datasets_pendingitem (project_id, item_id)
SELECT %(project)s, item_id FROM (
    SELECT said.item_id FROM labeling_annotation said JOIN labeling_item item ON item.id = said.item_id
    WHERE item.project_id = %(project)s AND said.withdrawn_at IS NULL
    UNION SELECT item_id FROM labeling_correction WHERE project_id = %(project)s AND item_id IS NOT NULL AND superseded_at IS NULL
    UNION SELECT item_id FROM labeling_feedback WHERE project_id = %(project)s AND item_id IS NOT NULL AND superseded_at IS NULL
        AND prediction_id IS NOT NULL
    UNION SELECT item_id FROM datasets_golditem WHERE project_id = %(project)s
    UNION SELECT item_id FROM datasets_reviewcase WHERE project_id = %(project)s
    UNION SELECT item_id FROM datasets_acceptedlabel WHERE project_id = %(project)s AND superseded_at IS NULL
) known ORDER BY item_id"""


def _note_everything(project: Project) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_EVERYTHING, {"project": project.pk})

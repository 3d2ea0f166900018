"""Look for accepted labels that a model contradicts which never saw them, and have them reviewed.

See docs/algorithms/review.md for which predictions count as out-of-sample.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from numpy.typing import NDArray

from datasets.consensus.label_errors import find_label_errors
from datasets.models import AcceptedLabel, ReviewCase
from labeling import selectors
from labeling.models import ModelVersion, Project
from labeling.probability import unpack
from labeling.schema import SingleChoice
from labeling.splitting import AUDIT_RESERVE_END

MOST_JUDGED: Final = 200_000
_MOST_CELLS: Final = 20_000_000

# A trainer's version never saw a label that is younger than it, nor one of the audit reserve. What an app trained on
# nobody knows, so of its versions only what they said before the label was there.
_LABELS: Final = """
SELECT label.item_id, label.label, label.probability, label.method IN ('reviewed', 'ground_truth') AS is_certain,
    said.model_version_id, said.probabilities,
    EXISTS (SELECT FROM labeling_prediction WHERE item_id = label.item_id) AS is_predicted
FROM (
    SELECT item_id, label, probability, method,
        (SELECT min(accepted_at) FROM datasets_acceptedlabel earlier WHERE earlier.item_id = current.item_id) AS first_at
    FROM datasets_acceptedlabel current
    WHERE project_id = %(project)s AND superseded_at IS NULL AND label <> '' ORDER BY id DESC LIMIT %(most)s
) label
JOIN labeling_item item ON item.id = label.item_id
LEFT JOIN LATERAL (
    SELECT prediction.model_version_id, prediction.probabilities
    FROM labeling_prediction prediction JOIN labeling_modelversion version ON version.id = prediction.model_version_id
    WHERE prediction.item_id = label.item_id AND CASE WHEN version.origin = 'trainer'
        THEN item.bucket < %(reserve)s OR version.created_at < label.first_at
        ELSE prediction.created_at < label.first_at END
    ORDER BY (version.stage = 'champion') DESC, version.id DESC LIMIT 1
) said ON true
ORDER BY label.item_id"""


@dataclass(frozen=True)
class Search:
    """What a search came to.

    labels
        Current labels that were looked at, at most MOST_JUDGED, the newest.
    judged, suspects
        Those of them for which there is an out-of-sample prediction, and those of these that it contradicts.
    opened, open_now
        Cases that this search opened, and all of this kind that are open now.
    no_prediction, in_sample, certain, other_classes
        Why the others could not be judged: no model said anything of the item; only models said something that may have
        seen the label; a reviewer or ground truth decided it; label or prediction is not of the classes of today.
    """

    labels: int = 0
    judged: int = 0
    suspects: int = 0
    opened: int = 0
    open_now: int = 0
    no_prediction: int = 0
    in_sample: int = 0
    certain: int = 0
    other_classes: int = 0

    @property
    def summary(self) -> str:
        """In one or two sentences, for people."""
        if not self.labels:
            return "There are no accepted labels of one class yet, so there is nothing to judge."
        reasons = (
            (self.in_sample, "only models said something of them that may have learned from the label"),
            (self.no_prediction, "no model said anything of them"),
            (self.certain, "a reviewer or ground truth decided them"),
            (self.other_classes, "label or prediction is not of the classes of today"),
        )
        others = "; ".join(f"{count:,}: {why}" for count, why in reasons if count)
        judged = f"{self.judged:,} of {self.labels:,} labels could be judged by a model that never saw them"
        found = f"{self.suspects:,} look wrong, {self.opened:,} new cases were opened"
        return f"{judged}; {found}." + (f" Not judged: {others}." if others else "")


class _Judgeable(NamedTuple):
    item_id: int
    label: int
    probability: float
    said: NDArray[np.float64]
    version: str


def search(project: Project, *, now: dt.datetime, most_open: int | None = None) -> Search:
    """Open a case for the labels that look most wrong, while fewer than `most_open` of this kind are open.

    Of single-choice projects; elsewhere nothing is found. A label that a case was closed about since it was accepted is not
    brought up again. Safe to run twice or at once: opening locks the project, and an item has one open case at most.
    """
    schema = selectors.parsed_schema(project)
    most_open = settings.LABEL_ERRORS_MOST_OPEN if most_open is None else most_open
    if not isinstance(schema, SingleChoice):
        return Search(open_now=_open_cases(project))
    found, judgeable = _read(project, schema)
    if not judgeable:
        return replace(found, open_now=_open_cases(project))
    errors = find_label_errors(
        np.array([each.said for each in judgeable]),
        np.array([each.label for each in judgeable], dtype=np.int64),
        label_probability=np.array([each.probability for each in judgeable]),
    )
    keys = schema.class_keys
    suspects = [
        ReviewCase(
            project=project,
            item_id=judgeable[row].item_id,
            kind=ReviewCase.Kind.LABEL_ERROR,
            # A margin of probabilities, 0 to 1: comparable with the nats of other kinds, see docs/algorithms/review.md.
            value=max(float(errors.score[row]), 0.0),
            detail={
                "score": round(float(errors.score[row]), 4),
                "label": keys[judgeable[row].label],
                "suggested": keys[int(errors.suggested[row])],
                "model_version": judgeable[row].version,
            },
            opened_at=now,
        )
        for row in errors.ranked()
    ]
    opened, open_now = _open(project, suspects, most_open)
    return replace(found, suspects=len(suspects), opened=opened, open_now=open_now)


def _read(project: Project, schema: SingleChoice) -> tuple[Search, list[_Judgeable]]:
    """The labels with an out-of-sample prediction in the order of today's classes, and a count of all labels."""
    most = min(MOST_JUDGED, _MOST_CELLS // len(schema.class_keys))
    place = schema.index_by_key
    versions = ModelVersion.objects.filter(project=project).in_bulk()
    columns = {pk: np.array([place.get(key, -1) for key in version.classes]) for pk, version in versions.items()}
    counts = dict.fromkeys(("certain", "in_sample", "no_prediction", "other_classes"), 0)
    judgeable = []
    with connection.cursor() as cursor:
        cursor.execute(_LABELS, {"project": project.pk, "most": most, "reserve": AUDIT_RESERVE_END})
        rows = cursor.fetchall()
    for item_id, label, probability, is_certain, version_id, packed, is_predicted in rows:
        if is_certain:
            counts["certain"] += 1
        elif version_id is None:
            counts["in_sample" if is_predicted else "no_prediction"] += 1
        else:
            known = columns[version_id]
            said = np.zeros(len(place))
            said[known[known >= 0]] = unpack(bytes(packed), len(known))[known >= 0]
            if label in place and said.sum() > 0:
                version = versions[version_id].name
                judgeable.append(_Judgeable(item_id, place[label], probability, said / said.sum(), version))
            else:
                counts["other_classes"] += 1
    return Search(labels=len(rows), judged=len(judgeable), **counts), judgeable


@transaction.atomic
def _open(project: Project, suspects: list[ReviewCase], most_open: int) -> tuple[int, int]:
    """Open those of the cases for which there is room and reason; return how many, and how many are open then."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before = _open_cases(project)
    room = max(0, most_open - before)
    item_ids = [case.item_id for case in suspects]
    cases = ReviewCase.objects.filter(item_id__in=item_ids)
    is_open = set(cases.filter(state=ReviewCase.State.OPEN).values_list("item_id", flat=True))
    labels = AcceptedLabel.objects.filter(item_id__in=item_ids, superseded_at__isnull=True)
    accepted_at = dict(labels.values_list("item_id", "accepted_at"))
    looked_at = {
        item_id
        for item_id, closed_at in cases.exclude(closed_at=None).values_list("item_id", "closed_at")
        if closed_at is not None and item_id in accepted_at and closed_at >= accepted_at[item_id]
    }
    fresh = [case for case in suspects if case.item_id not in is_open | looked_at and case.item_id in accepted_at][
        :room
    ]
    ReviewCase.objects.bulk_create(fresh, ignore_conflicts=True)
    after = _open_cases(project)
    return after - before, after


def _open_cases(project: Project) -> int:
    open_cases = ReviewCase.objects.filter(project=project, state=ReviewCase.State.OPEN)
    return open_cases.filter(kind=ReviewCase.Kind.LABEL_ERROR).count()

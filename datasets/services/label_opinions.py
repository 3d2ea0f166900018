"""What models say of accepted labels that they never saw: predictions from before the label, and cross-validation.

See docs/algorithms/review.md for which predictions count as out-of-sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from datasets.models import SuspectLabel
from datasets.services import label_checks
from labeling.models import ModelVersion, Project
from labeling.probability import unpack
from labeling.schema import SingleChoice
from labeling.splitting import AUDIT_RESERVE_END

MOST_JUDGED: Final = 200_000
LEAST_COMMON: Final = 30
"""With fewer labels that both have judged, cross-validation is taken to be the better source."""
_MOST_CELLS: Final = 20_000_000
_LEAST_PROBABILITY: Final = 1e-3
Source = SuspectLabel.Source

# A trainer's version never saw a label that is younger than it, nor one of the audit reserve. What an app trained on
# nobody knows, so of its versions only what they said before the label was there.
_LABELS: Final = """
SELECT label.id, label.item_id, label.label, label.probability, label.method IN ('reviewed', 'ground_truth') AS is_certain,
    said.model_version_id, said.probabilities,
    EXISTS (SELECT FROM labeling_prediction WHERE item_id = label.item_id) AS is_predicted
FROM (
    SELECT id, item_id, label, probability, method,
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


class Opinion(NamedTuple):
    """A label, and a distribution over today's classes by a model that never saw it."""

    label_id: int
    item_id: int
    label: int
    probability: float
    said: NDArray[np.float64]
    model: str


@dataclass(frozen=True)
class Opinions:
    """One opinion of each label that can be judged, by source; and how many labels there are and cannot be, by reason."""

    by_source: dict[SuspectLabel.Source, list[Opinion]]
    labels: int
    no_prediction: int
    in_sample: int
    certain: int
    other_classes: int


def gather(project: Project, schema: SingleChoice) -> Opinions:
    """The better source's opinion of each label where both have one, else the one there is. Two statements."""
    most = min(MOST_JUDGED, _MOST_CELLS // len(schema.class_keys))
    place = schema.index_by_key
    versions = ModelVersion.objects.filter(project=project).in_bulk()
    columns = {pk: _columns(version.classes, place) for pk, version in versions.items()}
    held_out = label_checks.opinions(project)
    folds_columns = None if held_out is None else _columns(held_out.classes, place)
    counts = dict.fromkeys(("certain", "in_sample", "no_prediction", "other_classes"), 0)
    by_model: dict[int, Opinion] = {}
    by_folds: dict[int, Opinion] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LABELS, {"project": project.pk, "most": most, "reserve": AUDIT_RESERVE_END})
        rows = cursor.fetchall()
    for label_id, item_id, label, probability, is_certain, version_id, packed, is_predicted in rows:
        if is_certain:
            counts["certain"] += 1
            continue
        has_any = False
        if held_out is not None and folds_columns is not None and label_id in held_out.by_label:
            has_any = True
            said = _said(held_out.by_label[label_id], folds_columns, len(place))
            if label in place and said is not None:
                by_folds[label_id] = Opinion(label_id, item_id, place[label], probability, said, held_out.trainer)
        if version_id is not None:
            has_any = True
            known = columns[version_id]
            said = _said(unpack(bytes(packed), len(known)), known, len(place))
            if label in place and said is not None:
                version = versions[version_id].name
                by_model[label_id] = Opinion(label_id, item_id, place[label], probability, said, version)
        if not has_any:
            counts["in_sample" if is_predicted else "no_prediction"] += 1
        elif label_id not in by_folds and label_id not in by_model:
            counts["other_classes"] += 1
    return Opinions(by_source=_chosen(by_model, by_folds), labels=len(rows), **counts)


def _columns(classes: Sequence[str], place: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([place.get(key, -1) for key in classes], dtype=np.int64)


def _said(row: NDArray[np.float32], columns: NDArray[np.int64], width: int) -> NDArray[np.float64] | None:
    """The row in the order of today's classes; None where it says nothing of them."""
    said = np.zeros(width)
    said[columns[columns >= 0]] = row[columns >= 0]
    total = said.sum()
    return said / total if total > 0 else None


def _chosen(by_model: dict[int, Opinion], by_folds: dict[int, Opinion]) -> dict[SuspectLabel.Source, list[Opinion]]:
    """Of labels that both judge, the opinion of the source that explains all these labels better."""
    common = by_model.keys() & by_folds.keys()
    prefers_model = len(common) >= LEAST_COMMON and _fit(by_model, common) > _fit(by_folds, common)
    loser, winner = (by_folds, by_model) if prefers_model else (by_model, by_folds)
    loser = {label_id: opinion for label_id, opinion in loser.items() if label_id not in winner}
    folds, model = (loser, winner) if prefers_model else (winner, loser)
    return {Source.CROSS_VALIDATION: list(folds.values()), Source.PREDICTION: list(model.values())}


def _fit(opinions: dict[int, Opinion], common: set[int]) -> float:
    """Mean logarithm of the labels' probabilities."""
    own = np.array([opinions[label_id].said[opinions[label_id].label] for label_id in sorted(common)])
    return float(np.log(np.maximum(own, _LEAST_PROBABILITY)).mean())

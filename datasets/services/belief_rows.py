"""Beliefs about items as rows: stored many at a time, and what is compared with them."""

import datetime as dt
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from datasets.consensus.acceptance import Action, Decisions
from datasets.models import AcceptedLabel, BeliefRun, ItemBelief
from datasets.services.evidence import Gathered
from labeling.probability import STORED_DTYPE

BATCH: Final = 20_000
ACTION_NAMES: Final = {
    Action.ACCEPT: ItemBelief.Action.ACCEPT,
    Action.ASK: ItemBelief.Action.ASK,
    Action.REVIEW: ItemBelief.Action.REVIEW,
}

# Joined with the items: one may have been deleted since its evidence was read.
_STORE: Final = """
INSERT INTO datasets_itembelief
    (item_id, project_id, run_id, posterior, label, probability, evidence_count, action, reason, value, updated_at)
SELECT said.item_id, item.project_id, %(run)s, said.posterior, said.label, said.probability, said.evidence_count,
    said.action, said.reason, said.value, %(now)s
FROM unnest(%(items)s::bigint[], %(posteriors)s::bytea[], %(labels)s::text[], %(probabilities)s::double precision[],
    %(counts)s::int[], %(actions)s::text[], %(reasons)s::text[], %(values)s::double precision[])
    AS said (item_id, posterior, label, probability, evidence_count, action, reason, value)
JOIN labeling_item item ON item.id = said.item_id AND item.project_id = %(project)s
ON CONFLICT (item_id) DO UPDATE SET
    run_id = excluded.run_id, posterior = excluded.posterior, label = excluded.label, probability = excluded.probability,
    evidence_count = excluded.evidence_count, action = excluded.action, reason = excluded.reason, value = excluded.value,
    updated_at = excluded.updated_at"""


def store(
    run: BeliefRun, gathered: Gathered, posterior: NDArray[np.float32], decisions: Decisions, *, now: dt.datetime
) -> None:
    """Upsert the belief about every item of the evidence. The caller holds the transaction and the lock of acceptance."""
    counts = np.bincount(gathered.evidence.item, minlength=len(gathered.item_ids))
    actions = [ACTION_NAMES[Action(each)].value for each in decisions.action.tolist()]
    packed = np.ascontiguousarray(posterior.astype(STORED_DTYPE)).tobytes()
    width = STORED_DTYPE.itemsize * posterior.shape[1]
    with connection.cursor() as cursor:
        for begin in range(0, len(actions), BATCH):
            rows = slice(begin, min(begin + BATCH, len(actions)))
            values = {
                "run": run.pk,
                "project": run.project_id,
                "now": now,
                "items": gathered.item_ids[rows].tolist(),
                "posteriors": [packed[width * row : width * (row + 1)] for row in range(rows.start, rows.stop)],
                "labels": [gathered.classes[label] for label in decisions.label[rows].tolist()],
                "probabilities": decisions.probability[rows].tolist(),
                "counts": counts[rows].tolist(),
                "actions": actions[rows],
                "reasons": decisions.reason[rows].tolist(),
                "values": decisions.value[rows].tolist(),
            }
            cursor.execute(_STORE, values)


def standing_labels(
    project_id: int, item_ids: NDArray[np.int64], classes: tuple[str, ...], *, is_all: bool = False
) -> NDArray[np.int64]:
    """The class of the label that a belief or a reviewer gave each item and that stands, by position; -1: there is none.

    `is_all` says that the items are about all of the project, so that it need not name them.
    """
    place = {key: position for position, key in enumerate(classes)}
    methods = [AcceptedLabel.Method.LABEL_MODEL, AcceptedLabel.Method.REVIEWED]
    labels = AcceptedLabel.objects.filter(superseded_at__isnull=True, method__in=methods)
    labels = labels.filter(project=project_id) if is_all else labels.filter(item__in=item_ids.tolist())
    found = np.full(len(item_ids), -1, dtype=np.int64)
    rows = [(item_id, place.get(label, -1)) for item_id, label in labels.values_list("item_id", "label").order_by()]
    if rows and len(item_ids):
        ids, labels_of = np.array(rows, dtype=np.int64).T
        position = np.minimum(np.searchsorted(item_ids, ids), len(item_ids) - 1)
        is_there = item_ids[position] == ids
        found[position[is_there]] = labels_of[is_there]
    return found

"""Taking dataset snapshots."""

import datetime as dt
import hashlib
from collections import Counter
from typing import Final

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Max

from datasets import selectors
from datasets.errors import NothingToSnapshot
from datasets.formats import jsonl
from datasets.formats.row import DatasetRow
from datasets.models import Snapshot, SnapshotRow
from labeling import selectors as labeling_selectors
from labeling.locks import LockKind, hold_until_commit
from labeling.models import Project
from labeling.splitting import AUDIT_RESERVE_END, VALIDATION_END

_SAID_BY_LABEL: Final = ("single_choice", "preference")
"""Kinds whose label is its class key, in files too; a rating is a number there."""

# One statement sees one moment: no label accepted meanwhile is half in. The split is labeling.splitting.split_of, in SQL
# so that payloads need not travel to Python and back. COLLATE "C" orders by the bytes of the key on every server.
_COPY_CURRENT_LABELS = """
INSERT INTO datasets_snapshotrow (snapshot_id, position, item_key, payload, segments, label, answer, probability, split,
                                  propensity, is_audit, accepted_label_id)
SELECT %(snapshot)s, row_number() OVER (ORDER BY item.key COLLATE "C") - 1, item.key, item.payload, item.segments,
       accepted.label, CASE WHEN %(is_said_by_label)s THEN NULL ELSE accepted.answer END, accepted.probability,
       CASE WHEN item.bucket < %(audit_reserve_end)s THEN 'test'
            WHEN item.bucket < %(validation_end)s THEN 'validation'
            ELSE 'train' END,
       accepted.propensity, accepted.is_audit, accepted.id
FROM datasets_acceptedlabel AS accepted
JOIN labeling_item AS item ON item.id = accepted.item_id
WHERE accepted.project_id = %(project)s AND accepted.superseded_at IS NULL
    AND CASE WHEN accepted.label <> '' THEN accepted.label = ANY(%(classes)s)
        ELSE jsonb_path_query_array(accepted.answer, '$.choices[*]')
            || jsonb_path_query_array(accepted.answer, '$.*[*].class') <@ to_jsonb(%(classes)s::text[]) END
"""


@transaction.atomic
def take(project: Project, *, by: User | None, now: dt.datetime, note: str = "") -> Snapshot:
    """Freeze the project's current labels, with the payloads as they are now, into a new READY snapshot.

    Labels of classes that the label schema in force no longer has are left out. All or nothing: no other session ever
    sees a snapshot that is still building. Snapshots of one project take turns (advisory lock), so their numbers have
    no gaps. Taking one again without news gives a new number and the same content hash.

    Raises NothingToSnapshot when no label is accepted.
    """
    hold_until_commit(LockKind.SNAPSHOT, project.pk)
    label_schema = labeling_selectors.current_schema(project)
    schema = labeling_selectors.parsed(label_schema)
    classes = tuple(each.key for each in schema.label_classes)
    last = Snapshot.objects.filter(project=project).aggregate(last=Max("number"))["last"] or 0
    snapshot = Snapshot.objects.create(
        project=project, number=last + 1, label_schema=label_schema, note=note, created_by=by, created_at=now
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _COPY_CURRENT_LABELS,
            {
                "snapshot": snapshot.pk,
                "project": project.pk,
                "classes": list(classes),
                "is_said_by_label": schema.kind in _SAID_BY_LABEL,
                "audit_reserve_end": AUDIT_RESERVE_END,
                "validation_end": VALIDATION_END,
            },
        )
        if not cursor.rowcount:
            raise NothingToSnapshot("No label has been accepted yet, so there is nothing to freeze.")
    _finish(snapshot, classes)
    return snapshot


def _finish(snapshot: Snapshot, classes: tuple[str, ...]) -> None:
    """Hash and count the rows, then declare the snapshot ready."""
    digest = hashlib.sha256()
    by_split = Counter(dict.fromkeys(SnapshotRow.Split.values, 0))
    by_class = Counter(dict.fromkeys(classes, 0))
    audit_count = 0
    for row in selectors.snapshot_rows(snapshot):
        digest.update(jsonl.line(row))
        by_split[row.split] += 1
        by_class.update(_classes_of(row))
        audit_count += row.is_audit
    snapshot.state = Snapshot.State.READY
    snapshot.content_hash = digest.hexdigest()
    snapshot.row_count = by_split.total()
    snapshot.split_counts = dict(by_split)
    snapshot.class_counts = dict(by_class)
    snapshot.audit_count = audit_count
    snapshot.save()


def _classes_of(row: DatasetRow) -> list[str]:
    """The classes that the row counts for: its label, or those of a label of several."""
    if row.label:
        return [row.label]
    return [each for each in row.value if isinstance(each, str)] if isinstance(row.value, list) else []

"""Snapshots: one moment, canonical, hashed, and never changed again."""

import hashlib
import json

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection, transaction

from datasets import selectors
from datasets.errors import NothingToSnapshot, SnapshotNotFound, UnknownExportFormat
from datasets.models import AcceptedLabel, Snapshot, SnapshotRow
from datasets.services import accept, export, snapshot
from labeling.models import Annotation, AnnotationTask, Item, LabelSchema, Project
from labeling.schema import JSONValue
from labeling.splitting import AUDIT_RESERVE_END, BUCKETS, VALIDATION_END, Split, split_of
from tests.factories import datasets as make
from tests.integration.datasets.concurrency import at_once, in_another_session

NOW = make.NOW


def take(project: Project) -> Snapshot:
    return snapshot.take(project, by=None, now=NOW)


def exported(taken: Snapshot, format_name: str = "jsonl") -> bytes:
    return b"".join(export.prepare(taken, format_name=format_name).content)


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_snapshot_describes_its_rows(project: Project, owner: User, annotator: User) -> None:
    test, validation, train = (
        make.item(project, key, bucket=bucket) for key, bucket in [("t", 0), ("v", 1000), ("r", 9999)]
    )
    make.annotation(test, annotator, "cat", reason=AnnotationTask.Reason.AUDIT, is_audit=True, propensity=0.5)
    make.annotation(validation, annotator, "dog")
    make.annotation(train, annotator, "dog", reason=AnnotationTask.Reason.MANUAL, propensity=None)
    accept.accept_pending(project.pk, now=NOW)

    taken = snapshot.take(project, by=owner, now=NOW, note="first")

    taken.refresh_from_db()
    assert (taken.number, taken.state, taken.note, taken.created_by, taken.created_at) == (
        1,
        "ready",
        "first",
        owner,
        NOW,
    )
    assert (taken.row_count, taken.audit_count) == (3, 1)
    assert taken.split_counts == {"train": 1, "validation": 1, "test": 1}
    assert taken.class_counts == {"cat": 1, "dog": 2, "bird": 0}
    rows = {row.key: row for row in selectors.snapshot_rows(taken)}
    assert (rows["t"].split, rows["t"].is_audit, rows["t"].propensity) == ("test", True, 0.5)
    assert (rows["v"].split, rows["v"].is_audit, rows["v"].propensity) == ("validation", False, 0.25)
    assert (rows["r"].split, rows["r"].is_audit, rows["r"].propensity) == ("train", False, None)
    assert (rows["r"].label, rows["r"].probability, rows["r"].payload) == ("dog", 1.0, {"text": "text of r"})


def test_rows_name_the_label_they_came_from(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    take(project)
    assert SnapshotRow.objects.get().accepted_label == AcceptedLabel.objects.get()


@pytest.mark.parametrize(
    "bucket", [0, AUDIT_RESERVE_END - 1, AUDIT_RESERVE_END, VALIDATION_END - 1, VALIDATION_END, BUCKETS - 1]
)
def test_the_split_in_sql_is_the_split_of_the_bucket(project: Project, annotator: User, bucket: int) -> None:
    make.annotation(make.item(project, "a", bucket=bucket), annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    [row] = selectors.snapshot_rows(take(project))
    assert row.split == split_of(bucket)


def test_rows_of_the_audit_reserve_are_test_rows_whatever_their_reason(project: Project, annotator: User) -> None:
    reasons = set(AnnotationTask.Reason) - {AnnotationTask.Reason.GOLD}  # a test of annotators makes no label
    for reason in reasons:
        make.annotation(make.item(project, reason, bucket=7), annotator, "cat", reason=reason)
    accept.accept_pending(project.pk, now=NOW)
    assert take(project).split_counts == {"train": 0, "validation": 0, "test": len(reasons)}


def test_rows_are_ordered_by_the_bytes_of_the_key(project: Project, annotator: User) -> None:
    keys = ["b", "B", "a", "é", "z", "ä", "a-2", "a 10", "_", "ß", "😀", "Z", "\uffef"]
    make.accepted(project, annotator, dict.fromkeys(keys, "cat"))
    assert [row.key for row in selectors.snapshot_rows(take(project))] == sorted(keys, key=str.encode)


def test_the_content_hash_can_be_computed_from_the_export_alone(project: Project, annotator: User) -> None:
    """The recipe of docs/algorithms/snapshots.md, written without any of our code."""
    payload: dict[str, JSONValue] = {
        "text": 'né\u2028"quoted" \\ \x7f\t😀',
        "n": [1, -0.5, 1e-7, 1e22, 123456789012345678901],
        "z": None,
        "": {},
    }
    for number, label in enumerate(["cat", "dog", "bird", "cat"]):
        item = make.item(project, f"item-{number}", payload=payload, segments={"lang": "he", "country": "il"})
        make.annotation(item, annotator, label, propensity=0.1 + 0.2)
    accept.accept_pending(project.pk, now=NOW)
    taken = take(project)

    file = exported(taken)
    assert hashlib.sha256(file).hexdigest() == taken.content_hash

    rows = [json.loads(line) for line in file.split(b"\n")[:-1]]
    assert {row["key"]: row["payload"] for row in rows} == {f"item-{number}": payload for number in range(4)}
    rows.sort(key=lambda row: row["key"].encode())
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
    assert digest.hexdigest() == taken.content_hash


def test_the_hash_of_a_known_snapshot_never_changes(project: Project, annotator: User) -> None:
    """Worked out by hand with printf and sha256sum: if this fails, old exports no longer match their snapshots."""
    item = make.item(project, "k", payload={"b": 1.5, "a": "ü"}, bucket=5000)
    make.annotation(item, annotator, "cat", propensity=0.00001)
    accept.accept_pending(project.pk, now=NOW)
    taken = take(project)
    line = (
        '{"is_audit":false,"key":"k","label":"cat","payload":{"a":"ü","b":1.5},"probability":1.0,'
        '"propensity":1e-05,"segments":{},"split":"train"}\n'
    )
    assert exported(taken).decode() == line
    assert taken.content_hash == "ef230ce0a143934f4862ae0fff20dcb06fc7e17ce8902861c0dc914c46df9802"


def test_a_second_snapshot_without_news_has_the_same_hash(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat", "b": "dog"})
    first, second = take(project), take(project)
    assert (first.number, second.number) == (1, 2)
    assert first.content_hash == second.content_hash
    make.accepted(project, annotator, {"c": "dog"})
    assert take(project).content_hash != first.content_hash


def test_the_order_of_labelling_does_not_change_the_hash(project: Project, annotator: User) -> None:
    items = {key: make.item(project, key) for key in "ab"}
    hashes = set()
    for order in ["ab", "ba"]:
        for key in order:
            make.annotation(items[key], annotator, "cat")
        accept.accept_pending(project.pk, now=NOW)
        hashes.add(take(project).content_hash)
        Annotation.objects.update(withdrawn_at=NOW)
    assert len(hashes) == 1


def test_nothing_accepted_is_nothing_to_snapshot(project: Project, annotator: User) -> None:
    make.annotation(make.item(project, "a"), annotator, "cat")
    with pytest.raises(NothingToSnapshot):
        take(project)
    assert not Snapshot.objects.exists()


def test_superseded_labels_and_other_projects_stay_out(project: Project, annotator: User, stranger: User) -> None:
    make.accepted(project, annotator, {"a": "cat", "b": "dog"})
    Annotation.objects.filter(item__key="a").update(withdrawn_at=NOW)
    other = Project.objects.get(slug="other")
    definition = LabelSchema.objects.get(project=project).definition
    LabelSchema.objects.create(project=other, version=1, kind="single_choice", definition=definition)
    make.accepted(other, stranger, {"c": "bird"})
    accept.accept_pending(project.pk, now=NOW)

    assert [row.key for row in selectors.snapshot_rows(take(project))] == ["b"]


def test_labels_of_a_class_that_the_schema_dropped_stay_out(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat", "b": "bird"})
    definition = {"classes": [{"key": "cat"}, {"key": "dog"}]}
    newer = LabelSchema.objects.create(project=project, version=2, kind="single_choice", definition=definition)

    taken = take(project)
    assert taken.label_schema == newer
    assert taken.class_counts == {"cat": 1, "dog": 0}


def test_a_snapshot_outlives_changes_of_its_items_and_labels(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat", "b": "dog"})
    taken = take(project)
    before = exported(taken)

    Item.objects.filter(key="a").update(payload={"text": "changed"}, segments={"new": "one"})
    Annotation.objects.update(withdrawn_at=NOW)
    make.annotation(Item.objects.get(key="b"), annotator, "bird")
    accept.accept_pending(project.pk, now=NOW)

    assert exported(taken) == before
    assert hashlib.sha256(before).hexdigest() == taken.content_hash


def test_rows_can_be_read_by_split(project: Project, annotator: User) -> None:
    for key, bucket in {"a": 1, "b": 1500, "c": 9000, "d": 2}.items():
        make.annotation(make.item(project, key, bucket=bucket), annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    taken = take(project)

    def keys(*splits: Split) -> list[str]:
        return [row.key for row in selectors.snapshot_rows(taken, splits=splits)]

    assert keys("test") == ["a", "d"]
    assert keys("train", "validation") == ["b", "c"]
    assert keys() == []


def test_rows_are_read_piece_by_piece(project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "_ROWS_PER_READ", 2)
    keys = [f"item-{number}" for number in range(5)]
    make.accepted(project, annotator, dict.fromkeys(keys, "cat"))
    assert [row.key for row in selectors.snapshot_rows(take(project))] == keys


def test_an_unknown_number_or_format_is_named(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    taken = take(project)
    for number in (0, 2, 10**30):
        with pytest.raises(SnapshotNotFound):
            selectors.snapshot(project, number)
    with pytest.raises(UnknownExportFormat, match="jsonl, csv"):
        export.prepare(taken, format_name="xml")


# -- frozen ---------------------------------------------------------------------------------------------------------

CHANGES = {
    "update of a row": "UPDATE datasets_snapshotrow SET label = 'dog'",
    "update of a payload": "UPDATE datasets_snapshotrow SET payload = '{}'",
    "deletion of a row": "DELETE FROM datasets_snapshotrow",
    "another row": """
        INSERT INTO datasets_snapshotrow (snapshot_id, position, item_key, payload, segments, label, probability, split,
                                          is_audit, accepted_label_id)
        SELECT snapshot_id, 99, 'new', '{}', '{}', 'cat', 1, 'train', false, 1 FROM datasets_snapshotrow""",
    "hash": "UPDATE datasets_snapshot SET content_hash = 'x'",
    "state": "UPDATE datasets_snapshot SET state = 'building'",
    "counts": "UPDATE datasets_snapshot SET class_counts = '{}'",
    "number": "UPDATE datasets_snapshot SET number = 7",
    "deletion": "DELETE FROM datasets_snapshot",
    "rows moved to another snapshot": """
        WITH other AS (INSERT INTO datasets_snapshot
            SELECT (snapshot).* FROM (SELECT jsonb_populate_record(snapshot, '{"id": -1, "number": 9, "state": "building"}')
                                      AS snapshot FROM datasets_snapshot AS snapshot) AS copy RETURNING id)
        UPDATE datasets_snapshotrow SET snapshot_id = other.id FROM other""",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES.keys())
def test_the_database_refuses_to_change_a_ready_snapshot(project: Project, annotator: User, statement: str) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    taken = take(project)
    before = exported(taken)

    with pytest.raises(IntegrityError, match="is ready"), transaction.atomic():
        sql(statement)

    fresh = Snapshot.objects.get()
    assert fresh.content_hash == taken.content_hash
    assert exported(fresh) == before


def test_a_ready_snapshot_takes_no_rows_of_a_building_one(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    taken = take(project)
    building = Snapshot.objects.create(project=project, number=2, label_schema=taken.label_schema)
    row = SnapshotRow.objects.get()
    row.pk, row.snapshot, row.position = None, building, 5
    row.save(force_insert=True)

    with pytest.raises(IntegrityError, match="is ready"), transaction.atomic():
        SnapshotRow.objects.filter(snapshot=building).update(snapshot=taken)
    assert taken.rows.count() == 1


def test_the_note_may_change_and_who_took_it_may_go(project: Project, stranger: User, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    taken = snapshot.take(project, by=stranger, now=NOW)
    Snapshot.objects.update(note="renamed")
    stranger.memberships.all().delete()
    stranger.delete()
    taken.refresh_from_db()
    assert (taken.note, taken.created_by) == ("renamed", None)


def test_an_operator_may_delete_a_snapshot_by_saying_so(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    taken = take(project)
    with transaction.atomic():
        sql("SET LOCAL feedback.allow_snapshot_delete = 'on'")
        with pytest.raises(IntegrityError, match="is ready"), transaction.atomic():
            sql("UPDATE datasets_snapshotrow SET label = 'dog'")
        taken.delete()
        sql("SET LOCAL feedback.allow_snapshot_delete = 'off'")
    assert not SnapshotRow.objects.exists()
    assert not Snapshot.objects.exists()


# -- at once --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_snapshots_taken_at_once_get_numbers_of_their_own(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat", "b": "dog"})
    taken = at_once([lambda: take(project)] * 4)
    assert sorted(one.number for one in taken) == [1, 2, 3, 4]
    assert len({one.content_hash for one in taken}) == 1


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_during_acceptance_holds_one_moment(project: Project, annotator: User) -> None:
    """Two labels are always replaced together, so no snapshot may show them apart."""
    items = [make.item(project, key) for key in "ab"]

    def answer(label: str) -> None:
        with transaction.atomic():
            Annotation.objects.filter(withdrawn_at__isnull=True).update(withdrawn_at=NOW)
            for item in items:
                make.annotation(item, annotator, label)
            accept.accept_pending(project.pk, now=NOW)

    answer("cat")

    def relabel() -> list[Snapshot]:
        for number in range(20):
            answer(["dog", "cat"][number % 2])
        return []

    taken = at_once([relabel, lambda: [take(project) for _ in range(20)]])[1]
    for one in taken:
        assert len({row.label for row in selectors.snapshot_rows(one)}) == 1
        assert one.row_count == 2


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_while_it_takes_a_snapshot_leaves_no_trace(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat"})

    def die() -> None:
        with transaction.atomic():
            take(project)
            sql("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(OperationalError):
        in_another_session(die)
    assert not Snapshot.objects.exists()
    assert not SnapshotRow.objects.exists()
    assert take(project).number == 1

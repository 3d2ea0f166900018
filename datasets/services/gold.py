"""Items whose true answer is known: they test and teach annotators, and give the label model a truth to hold on to."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction

from datasets import selectors
from datasets.errors import GoldNotFound
from datasets.models import GoldItem
from datasets.services import pending
from labeling import selectors as facts
from labeling.errors import DomainError, InvalidInput, NotFound
from labeling.models import AnnotationTask, Item, LabelSchema, PoolEntry, Project
from labeling.schema import JSONValue
from labeling.services import annotation_queue
from labeling.splitting import AUDIT_RESERVE_END

LONGEST_EXPLANATION: Final = 4_000


@dataclass(frozen=True)
class GoldRow:
    """A known answer as it is sent: of the item with this key."""

    key: str
    answer: JSONValue
    explanation: str = ""


@dataclass(frozen=True)
class Made:
    """What became of a row: the gold, and whether it was new; or the error."""

    key: str
    gold: GoldItem | None = None
    is_new: bool = False
    error: DomainError | None = None


@transaction.atomic
def make(project: Project, item: Item, *, answer: object, explanation: str, by: User | None) -> tuple[GoldItem, bool]:
    """Say that the item's true answer is known; returns the gold and whether it is new.

    An item that is gold already gets the new answer and explanation, and is active again. It leaves the pool, so that nobody
    is asked to label what is known; an open task of it stays. Items of the audit reserve stay, for nothing may be missing there that was
    not drawn; they test nobody before they were. Raises InvalidInput `invalid_answer` or `unknown_class`.
    """
    label_schema = facts.current_schema(project)
    gold, is_new = _store(project, label_schema, item, answer, explanation, by)
    _after(project, [item.pk])
    return gold, is_new


@transaction.atomic
def make_many(project: Project, rows: Sequence[GoldRow], *, by: User | None) -> list[Made]:
    """`make` for each row, in their order; a bad row changes nothing and does not stop the others."""
    label_schema = facts.current_schema(project)
    items = {item.key: item for item in Item.objects.filter(project=project, key__in=[row.key for row in rows])}
    made: list[Made] = []
    for row in rows:
        try:
            if (item := items.get(row.key)) is None:
                raise NotFound(f"There is no item “{row.key[:100]}”.", code="item_not_found", fields={"key": "unknown"})
            made.append(Made(row.key, *_store(project, label_schema, item, row.answer, row.explanation, by)))
        except DomainError as error:
            made.append(Made(row.key, error=error))
    _after(project, [each.gold.item_id for each in made if each.gold is not None])
    return made


def make_of_label(project: Project, item: Item, *, explanation: str, by: User | None) -> tuple[GoldItem, bool]:
    """Take the item's accepted label for its known answer. Raises NotFound `no_accepted_label`, and as `make`."""
    label = selectors.current_labels(project).filter(item=item).first()
    if label is None:
        raise NotFound("This item has no accepted label.", code="no_accepted_label")
    return make(project, item, answer=label.answer, explanation=explanation, by=by)


def of(project: Project, gold_id: int) -> GoldItem:
    """The gold of that id. Raises GoldNotFound."""
    gold = GoldItem.objects.filter(project=project, pk=gold_id).select_related("item", "label_schema").first()
    if gold is None:
        raise GoldNotFound("There is no such item with a known answer.")
    return gold


def set_active(gold: GoldItem, *, is_active: bool) -> None:
    """Mix it into annotators' work, or no more; its truth holds either way. Open tests are taken out by the next mixing."""
    gold.is_active = is_active
    gold.save(update_fields=["is_active"])


@transaction.atomic
def remove(gold: GoldItem, *, now: dt.datetime) -> None:
    """Say that its answer is not known after all: for gold that was a mistake. Answers that were given stay.

    Its open test is withdrawn, and unless it has a label the item may be drawn again. Locks the task, then the pool row.
    """
    tests = AnnotationTask.objects.filter(
        item=gold.item_id, state=AnnotationTask.State.OPEN, reason=AnnotationTask.Reason.GOLD
    )
    withdrawn = list(tests.select_for_update(no_key=True).values_list("pk", flat=True))
    AnnotationTask.objects.filter(pk__in=withdrawn).update(
        state=AnnotationTask.State.WITHDRAWN, closed_at=now, leased_to=None, lease_expires_at=None
    )
    project, item_id = gold.project, gold.item_id
    gold.delete()
    entry = PoolEntry.objects.filter(item=item_id).select_for_update(no_key=True).first()
    if entry is not None and (withdrawn or entry.state == PoolEntry.State.ANSWERED):
        is_labelled = selectors.current_labels(project).filter(item=item_id).exists()
        state = PoolEntry.State.ANSWERED if is_labelled else PoolEntry.State.AVAILABLE
        PoolEntry.objects.filter(item=item_id).update(state=state)
    if pending.goes_by_label_model(project):
        pending.note_items(project, [item_id])


# -- inside ------------------------------------------------------------------------------------------------------


def _store(
    project: Project, label_schema: LabelSchema, item: Item, answer: object, explanation: str, by: User | None
) -> tuple[GoldItem, bool]:
    if len(explanation) > LONGEST_EXPLANATION:
        raise InvalidInput(
            f"An explanation has at most {LONGEST_EXPLANATION} characters.", fields={"explanation": "too long"}
        )
    stored = annotation_queue.checked_answer(label_schema.pk, answer, item.payload)
    values = {"label_schema": label_schema, "answer": stored, "explanation": explanation.strip(), "is_active": True}
    return GoldItem.objects.update_or_create(
        item=item, defaults=values, create_defaults={**values, "project": project, "created_by": by}
    )


def _after(project: Project, item_ids: Sequence[int]) -> None:
    entries = PoolEntry.objects.filter(
        item__in=item_ids, state=PoolEntry.State.AVAILABLE, bucket__gte=AUDIT_RESERVE_END
    ).order_by("item_id")
    locked = list(entries.select_for_update(no_key=True).values_list("item_id", flat=True))
    PoolEntry.objects.filter(item__in=locked).update(state=PoolEntry.State.ANSWERED)
    if item_ids and pending.goes_by_label_model(project):
        pending.note_items(project, item_ids)

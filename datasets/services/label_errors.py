"""Look for accepted labels that a model contradicts which never saw them, list them, and have them reviewed.

See docs/algorithms/review.md.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from datasets.consensus.cleanlab_rule import find_by_cleanlab
from datasets.consensus.label_errors import find_label_errors
from datasets.models import AcceptedLabel, ReviewCase, SuspectLabel
from datasets.services import label_opinions
from datasets.services.label_opinions import Opinion, Source
from labeling import selectors
from labeling.models import Project
from labeling.schema import SingleChoice

MOST_LISTED: Final = 1_000
"""So many suspects, the worst, are kept."""


@dataclass(frozen=True)
class Search:
    """What a search came to.

    labels
        Current labels that were looked at, at most MOST_JUDGED, the newest.
    judged, cross_validated, suspects
        Those of them for which there is an out-of-sample prediction, those of these by cross-validation, and those that it
        contradicts.
    opened, open_now
        Cases that this search opened, and all of this kind that are open now.
    no_prediction, in_sample, certain, other_classes
        Why the others could not be judged: no model said anything of the item; only models said something that may have
        seen the label; a reviewer or ground truth decided it; label or prediction is not of the classes of today.
    """

    labels: int = 0
    judged: int = 0
    cross_validated: int = 0
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
        folds = f", {self.cross_validated:,} of them by cross-validation" if self.cross_validated else ""
        judged = f"{self.judged:,} of {self.labels:,} labels could be judged by a model that never saw them{folds}"
        found = f"{self.suspects:,} look wrong, {self.opened:,} new cases were opened"
        return f"{judged}; {found}." + (f" Not judged: {others}." if others else "")


@dataclass(frozen=True)
class _Suspicion:
    opinion: Opinion
    source: SuspectLabel.Source
    score: float
    suggested: int

    @property
    def self_confidence(self) -> float:
        return float(self.opinion.said[self.opinion.label])


def search(project: Project, *, now: dt.datetime, most_open: int | None = None) -> Search:
    """List the labels that look most wrong, and open a case for the first, while fewer than `most_open` of this kind are open.

    Of single-choice projects; elsewhere nothing is found. A label that somebody closed a case about since it was accepted is
    not brought up again. Safe to run twice or at once: it locks the project, and an item has one open case at most.
    """
    schema = selectors.parsed_schema(project)
    most_open = settings.LABEL_ERRORS_MOST_OPEN if most_open is None else most_open
    if not isinstance(schema, SingleChoice):
        return Search(open_now=_open_cases(project))
    found = label_opinions.gather(project, schema)
    suspicions = _suspicions(found.by_source)
    opened, open_now = _keep(project, suspicions, schema.class_keys, most_open, now=now)
    return Search(
        labels=found.labels,
        judged=sum(map(len, found.by_source.values())),
        cross_validated=len(found.by_source[Source.CROSS_VALIDATION]),
        suspects=len(suspicions),
        opened=opened,
        open_now=open_now,
        no_prediction=found.no_prediction,
        in_sample=found.in_sample,
        certain=found.certain,
        other_classes=found.other_classes,
    )


def listed(project: Project) -> QuerySet[SuspectLabel]:
    """The labels of the newest search that still stand and that nobody has decided about since, the worst first."""
    decided = _decided().filter(item=OuterRef("item"), closed_at__gte=OuterRef("accepted_label__accepted_at"))
    rows = SuspectLabel.objects.filter(~Exists(decided), project=project, accepted_label__superseded_at__isnull=True)
    open_cases = ReviewCase.objects.filter(item=OuterRef("item"), state=ReviewCase.State.OPEN)
    rows = rows.annotate(open_case_id=Subquery(open_cases.values("pk")[:1]))
    return rows.select_related("accepted_label", "item").order_by("-score", "accepted_label_id")


def _suspicions(by_source: dict[SuspectLabel.Source, list[Opinion]]) -> list[_Suspicion]:
    """The suspects of each source by its own thresholds, all together the most suspicious first."""
    find = find_by_cleanlab if settings.LABEL_ERROR_RULE == "cleanlab" else find_label_errors
    found: list[_Suspicion] = []
    for source, opinions in by_source.items():
        if not opinions:
            continue
        errors = find(
            np.array([each.said for each in opinions]),
            np.array([each.label for each in opinions], dtype=np.int64),
            label_probability=np.array([each.probability for each in opinions]),
        )
        found += [
            _Suspicion(opinions[row], source, float(errors.score[row]), int(errors.suggested[row]))
            for row in errors.ranked().tolist()
        ]
    return sorted(found, key=lambda each: (-each.score, each.opinion.item_id))


@transaction.atomic
def _keep(
    project: Project, suspicions: list[_Suspicion], keys: Sequence[str], most_open: int, *, now: dt.datetime
) -> tuple[int, int]:
    """Store the list, and open those of the cases for which there is room and reason; how many, and how many are open then."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    item_ids = [each.opinion.item_id for each in suspicions]
    cases = ReviewCase.objects.filter(item_id__in=item_ids)
    is_open = set(cases.filter(state=ReviewCase.State.OPEN).values_list("item_id", flat=True))
    labels = AcceptedLabel.objects.filter(item_id__in=item_ids, superseded_at__isnull=True)
    standing = {item_id: (pk, at) for item_id, pk, at in labels.values_list("item_id", "pk", "accepted_at")}
    looked_at = {
        item_id
        for item_id, closed_at in _decided().filter(item_id__in=item_ids).values_list("item_id", "closed_at")
        if closed_at is not None and item_id in standing and closed_at >= standing[item_id][1]
    }
    fresh = [
        each
        for each in suspicions
        if standing.get(each.opinion.item_id, (None,))[0] == each.opinion.label_id
        and each.opinion.item_id not in looked_at
    ]
    SuspectLabel.objects.filter(project=project).delete()
    SuspectLabel.objects.bulk_create(_row(project, each, keys, now) for each in fresh[:MOST_LISTED])
    before = _open_cases(project)
    wanted = [each for each in fresh if each.opinion.item_id not in is_open][: max(0, most_open - before)]
    ReviewCase.objects.bulk_create((_case(project, each, keys, now) for each in wanted), ignore_conflicts=True)
    after = _open_cases(project)
    return after - before, after


def _row(project: Project, of: _Suspicion, keys: Sequence[str], now: dt.datetime) -> SuspectLabel:
    return SuspectLabel(
        accepted_label_id=of.opinion.label_id,
        item_id=of.opinion.item_id,
        project=project,
        source=of.source,
        model=of.opinion.model,
        score=of.score,
        self_confidence=min(of.self_confidence, 1.0),
        suggested=keys[of.suggested],
        found_at=now,
    )


def _case(project: Project, of: _Suspicion, keys: Sequence[str], now: dt.datetime) -> ReviewCase:
    return ReviewCase(
        project=project,
        item_id=of.opinion.item_id,
        kind=ReviewCase.Kind.LABEL_ERROR,
        # A margin of probabilities, 0 to 1: comparable with the nats of other kinds, see docs/algorithms/review.md.
        value=max(of.score, 0.0),
        detail={
            "score": round(of.score, 4),
            "self_confidence": round(of.self_confidence, 4),
            "source": of.source.value,
            "label": keys[of.opinion.label],
            "suggested": keys[of.suggested],
            "model_version": of.opinion.model,
        },
        opened_at=now,
    )


def _decided() -> QuerySet[ReviewCase]:
    """Closed by a person: where later evidence settled a case, often at the moment of acceptance, nobody looked at the label."""
    return ReviewCase.objects.filter(closed_at__isnull=False).exclude(state=ReviewCase.State.SETTLED)


def _open_cases(project: Project) -> int:
    open_cases = ReviewCase.objects.filter(project=project, state=ReviewCase.State.OPEN)
    return open_cases.filter(kind=ReviewCase.Kind.LABEL_ERROR).count()

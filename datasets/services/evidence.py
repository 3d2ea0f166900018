"""All that was said about items of a project, as arrays for the label model and the detectors.

Of single-choice projects; answers whose class the current label schema does not have are left out.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

import numpy as np
from django.db.models import F, Model, QuerySet
from django.db.models.fields.json import KeyTextTransform
from numpy.typing import NDArray

from datasets.consensus.evidence import Evidence, Kind, evidence
from datasets.consensus.source_quality.examination import Timing
from datasets.models import AcceptancePolicy, GoldItem, SourceStanding
from labeling.models import Annotation, Correction, Feedback, Project
from labeling.models.feedback import Said

_Row = TypeVar("_Row", bound=Model)
_KINDS: Final = Feedback.Kind
GOOD_RATING: Final = 0.75
BAD_RATING: Final = 0.25
"""Ratings (0 to 1) from the one on say that the prediction was right, up to the other that it was wrong; between, nothing."""

CORRECTION_CHANNELS: Final = tuple(Said.Channel)
VERDICT_CHANNELS: Final = (
    _KINDS.THUMB, _KINDS.RATING, _KINDS.CLICK, _KINDS.COPY, _KINDS.CONVERSION, _KINDS.RETRY, _KINDS.ABANDONMENT,
    _KINDS.EDIT,
)  # fmt: skip
"""Channels of the label model by position: part of the stored parameters, so new ones are added at the end."""

_SAYS_RIGHT: Final = (_KINDS.CLICK, _KINDS.COPY, _KINDS.CONVERSION)
_SAYS_WRONG: Final = (_KINDS.RETRY, _KINDS.ABANDONMENT)


class Source(NamedTuple):
    """Who said it: an annotator, a respondent by their keyed hash, or nobody known."""

    annotator_id: int | None = None
    respondent_hash: str = ""


class Origin(StrEnum):
    """The table that a piece of evidence is stored in."""

    ANNOTATION = "annotation"
    CORRECTION = "correction"
    FEEDBACK = "feedback"
    GOLD = "gold"


@dataclass(frozen=True, eq=False)
class Gathered:
    """The evidence and what its positions stand for.

    item_ids, sources
        By position. Who is not known has a position for each thing said.
    origin, row_id, taken
        Shape (n,): where each piece is stored, and how it was given.
    """

    evidence: Evidence
    classes: tuple[str, ...]
    item_ids: NDArray[np.int64]
    sources: list[Source]
    origin: NDArray[np.str_]
    row_id: NDArray[np.int64]
    timing: Timing


@dataclass
class _Columns:
    item: list[int] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    channel: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    epsilon: list[float] = field(default_factory=list)
    agrees_with_shown: list[bool] = field(default_factory=list)
    origin: list[str] = field(default_factory=list)
    row_id: list[int] = field(default_factory=list)
    given_at: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)


def gather(
    project: Project,
    policy: AcceptancePolicy,
    classes: Iterable[str],
    *,
    item_ids: Collection[int] | None = None,
    weighs_sources: bool = True,
    anchored_weight: float = 1.0,
) -> Gathered:
    """Read the standing evidence about these items, or all there is.

    Parameters
    ----------
    classes
        Keys in the order of the posteriors.
    weighs_sources
        Whether what a source says counts by its standing; the detectors look at everybody alike.
    anchored_weight
        What an answer counts that agrees with a model's answer its giver had seen.

    A handful of queries whatever the number of items; O(evidence) memory.
    """
    keys = tuple(classes)
    return _Gathering(project, policy, keys, item_ids).run(weighs_sources, anchored_weight)


class _Gathering:
    def __init__(
        self, project: Project, policy: AcceptancePolicy, classes: tuple[str, ...], item_ids: Collection[int] | None
    ) -> None:
        self.project, self.policy, self.classes, self.wanted = project, policy, classes, item_ids
        self.place = {key: position for position, key in enumerate(classes)}
        self.items: dict[int, int] = {}
        self.known: dict[Source, int] = {}
        self.sources: list[Source] = []
        self.columns = _Columns()

    def run(self, weighs_sources: bool, anchored_weight: float) -> Gathered:
        self._annotations()
        if self.policy.uses_corrections:
            self._corrections()
        self._verdicts()
        self._gold()
        rows = self.columns
        weight = np.where(rows.agrees_with_shown, anchored_weight, 1.0)
        if weighs_sources:
            weight = weight * self._standings()[np.asarray(rows.source, dtype=np.int64)]
        found = evidence(
            np.asarray(rows.item, dtype=np.int64),
            np.asarray(rows.source, dtype=np.int64),
            np.asarray(rows.answer, dtype=np.int64),
            n_items=len(self.items),
            n_sources=len(self.sources),
            n_classes=len(self.classes),
            kind=np.asarray(rows.kind, dtype=np.int64),
            channel=np.asarray(rows.channel, dtype=np.int64),
            predicted=np.asarray(rows.predicted, dtype=np.int64),
            epsilon=np.asarray(rows.epsilon, dtype=np.float64),
            weight=weight,
        )
        return Gathered(
            found,
            self.classes,
            np.fromiter(self.items, dtype=np.int64, count=len(self.items)),
            self.sources,
            np.asarray(rows.origin, dtype=np.str_),
            np.asarray(rows.row_id, dtype=np.int64),
            Timing(np.asarray(rows.given_at, dtype=np.float64), np.asarray(rows.taken, dtype=np.float64)),
        )

    def _annotations(self) -> None:
        rows = Annotation.objects.filter(item__project=self.project, withdrawn_at__isnull=True)
        said = self._of_wanted(rows).order_by("pk").values_list(
            "pk", "item_id", "annotator_id", KeyTextTransform("choice", "answer"),
            KeyTextTransform("choice", "suggested_answer"), "is_ground_truth", "created_at", "duration_ms",
        )  # fmt: skip
        for pk, item_id, annotator_id, choice, shown, is_truth, at, duration in said.iterator(chunk_size=5000):
            if choice in self.place:
                self._add(
                    Origin.ANNOTATION, pk, item_id, Source(annotator_id), self.place[choice],
                    Kind.GOLD if is_truth else Kind.ANNOTATION,
                    agrees_with_shown=choice == shown and not is_truth,
                    given_at=at.timestamp(), taken=np.nan if duration is None else duration / 1000.0,
                )  # fmt: skip

    def _corrections(self) -> None:
        rows = Correction.objects.filter(project=self.project, superseded_at__isnull=True, item__isnull=False)
        said = self._of_wanted(rows).order_by("pk").values_list(
            "pk", "item_id", "respondent_hash", KeyTextTransform("choice", "answer"), "prediction__predicted_class",
            "is_anchored", "channel", "occurred_at",
        )  # fmt: skip
        for pk, item_id, respondent, choice, predicted, is_anchored, channel, at in said.iterator(chunk_size=5000):
            if choice in self.place:
                self._add(
                    Origin.CORRECTION, pk, item_id, Source(None, respondent), self.place[choice], Kind.CORRECTION,
                    channel=CORRECTION_CHANNELS.index(Said.Channel(channel)),
                    predicted=self.place.get(predicted, -1),
                    agrees_with_shown=bool(is_anchored) and choice == predicted,
                    given_at=at.timestamp(),
                )  # fmt: skip

    def _verdicts(self) -> None:
        kinds = [_KINDS.THUMB, _KINDS.RATING] if self.policy.uses_thumbs else []
        if self.policy.uses_implicit:
            kinds += [kind for kind in VERDICT_CHANNELS if kind not in (_KINDS.THUMB, _KINDS.RATING)]
        if not kinds:
            return
        rows = Feedback.objects.filter(
            project=self.project, superseded_at__isnull=True, item__isnull=False, kind__in=kinds
        ).exclude(prediction=None)
        said = self._of_wanted(rows).order_by("pk").values_list(
            "pk", "item_id", "respondent_hash", "kind", "score", "epsilon", "prediction__predicted_class", "occurred_at"
        )  # fmt: skip
        for pk, item_id, respondent, kind, score, epsilon, predicted, at in said.iterator(chunk_size=5000):
            verdict = _verdict(Feedback.Kind(kind), score)
            if verdict is not None and predicted in self.place:
                self._add(
                    Origin.FEEDBACK, pk, item_id, Source(None, respondent), int(verdict),
                    Kind.THUMB if kind in (_KINDS.THUMB, _KINDS.RATING) else Kind.IMPLICIT,
                    channel=VERDICT_CHANNELS.index(Feedback.Kind(kind)), predicted=self.place[predicted],
                    epsilon=np.nan if epsilon is None else epsilon, given_at=at.timestamp(),
                )  # fmt: skip

    def _gold(self) -> None:
        gold = self._of_wanted(GoldItem.objects.filter(project=self.project)).order_by("pk")
        for pk, item_id, choice in gold.values_list("pk", "item_id", KeyTextTransform("choice", "answer")):
            if choice in self.place:
                self._add(Origin.GOLD, pk, item_id, Source(), self.place[choice], Kind.GOLD)

    def _of_wanted(self, rows: QuerySet[_Row]) -> QuerySet[_Row]:
        return rows if self.wanted is None else rows.filter(item_id__in=self.wanted)

    def _add(
        self,
        origin: Origin,
        row_id: int,
        item_id: int,
        source: Source,
        answer: int,
        kind: Kind,
        *,
        channel: int = 0,
        predicted: int = -1,
        epsilon: float = np.nan,
        agrees_with_shown: bool = False,
        given_at: float = np.nan,
        taken: float = np.nan,
    ) -> None:
        rows = self.columns
        rows.item.append(self.items.setdefault(item_id, len(self.items)))
        rows.source.append(self._position(source))
        rows.answer.append(answer)
        rows.kind.append(kind)
        rows.channel.append(channel)
        rows.predicted.append(predicted)
        rows.epsilon.append(epsilon)
        rows.agrees_with_shown.append(agrees_with_shown)
        rows.origin.append(origin)
        rows.row_id.append(row_id)
        rows.given_at.append(given_at)
        rows.taken.append(taken)

    def _position(self, source: Source) -> int:
        if source == Source():
            self.sources.append(source)
            return len(self.sources) - 1
        if source not in self.known:
            self.known[source] = len(self.sources)
            self.sources.append(source)
        return self.known[source]

    def _standings(self) -> NDArray[np.float64]:
        """What each source counts, shape (n_sources,)."""
        weights = np.ones(len(self.sources))
        doubted = SourceStanding.objects.filter(project=self.project, weight__lt=1.0)
        for annotator_id, respondent, weight in doubted.values_list("annotator_id", "respondent_hash", F("weight")):
            position = self.known.get(Source(annotator_id, respondent))
            if position is not None:
                weights[position] = weight
        return weights


def _verdict(kind: Feedback.Kind, score: float | None) -> bool | None:
    """Whether it says that the prediction was right; None: it says neither."""
    if kind in _SAYS_RIGHT:
        return True
    if kind in _SAYS_WRONG:
        return False
    if score is None:
        return None
    if kind == _KINDS.EDIT:
        return score <= 0.0
    if kind == _KINDS.THUMB:
        return score >= 0.5
    if score >= GOOD_RATING:
        return True
    return False if score <= BAD_RATING else None

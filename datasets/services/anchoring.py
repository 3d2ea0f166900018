"""How much people follow the model's answer because they see it, from tasks and asks that chance made blind.

See docs/algorithms/anchoring.md.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.contrib.auth.models import User

from datasets.consensus import anchoring
from datasets.consensus.anchoring import Anchoring, anchoring_effect
from labeling import selectors
from labeling.models import (
    Annotation,
    AnnotationTask,
    Ask,
    Correction,
    ModelVersion,
    Prediction,
    Project,
    QuestionVersion,
)
from labeling.models.feedback import Said
from labeling.probability import unpack
from labeling.schema import AnySchema, JSONValue
from labeling.suggestion_arm import is_blind

MOST_ROWS: Final = 50_000
"""So many answers, the newest, are compared at most."""
LEAST_ARM: Final = 30
"""Below so many answers in an arm the effect is shown, and nothing is made of it."""
MOST_SEGMENTS: Final = 20
_STAGES: Final = (ModelVersion.Stage.CHAMPION, ModelVersion.Stage.RETIRED)


@dataclass
class Tally:
    """Answers with the model's answer in view and without, and how many of each agree with it."""

    shown: int = 0
    shown_agree: int = 0
    blind: int = 0
    blind_agree: int = 0

    def count(self, *, was_shown: bool, agrees: bool) -> None:
        if was_shown:
            self.shown += 1
            self.shown_agree += agrees
        else:
            self.blind += 1
            self.blind_agree += agrees

    @property
    def effect(self) -> Anchoring:
        return anchoring_effect(self.shown_agree, self.shown, self.blind_agree, self.blind)

    @property
    def is_measured(self) -> bool:
        """Whether both arms are large enough for the normal interval."""
        return min(self.shown, self.blind) >= LEAST_ARM

    @property
    def weight(self) -> float:
        """What an answer counts that agrees with what its giver saw: 1 unless the effect is measured and clearly above 0."""
        effect = self.effect
        return anchoring.anchored_weight(effect) if self.is_measured and effect.low > 0.0 else 1.0


@dataclass
class Measured:
    """The effect on all, on each person, and on each segment of items (name and value); largest groups first."""

    overall: Tally = field(default_factory=Tally)
    by_person: list[tuple[str, Tally]] = field(default_factory=list)
    by_segment: list[tuple[str, Tally]] = field(default_factory=list)
    is_sampled: bool = False


@dataclass(frozen=True)
class _Compared:
    person: Hashable
    segments: JSONValue
    was_shown: bool
    agrees: bool


def of_annotators(project: Project) -> Measured:
    """Measure it on annotations. Tasks that never show a suggestion are left out of both arms: audit, gold, imported.

    A blind answer is compared with what the newest champion had said of the item by then. At most MOST_ROWS answers.
    """
    rows = (
        Annotation.objects.filter(
            item__project=project, withdrawn_at__isnull=True, is_ground_truth=False, task__is_audit=False
        )
        .exclude(task__reason__in=[AnnotationTask.Reason.IMPORTED, AnnotationTask.Reason.GOLD])
        .order_by("-pk")
        .values_list(
            "task_id", "annotator_id", "item_id", "answer", "suggested_answer", "created_at", "item__segments"
        )[:MOST_ROWS]
    )
    compared, blind, count = [], [], 0
    for task_id, annotator_id, item_id, answer, suggested, at, segments in rows:
        count += 1
        if suggested is not None:
            compared.append(_Compared(annotator_id, segments, was_shown=True, agrees=answer == suggested))
        elif is_blind(task_id, annotator_id, project.blind_share):
            blind.append((annotator_id, item_id, answer, at, segments))
    said = _said_of({item_id for _, item_id, *_ in blind}, selectors.parsed_schema(project))
    for annotator_id, item_id, answer, at, segments in blind:
        before = [predicted for when, predicted in said.get(item_id, ()) if when <= at]
        if before:
            compared.append(_Compared(annotator_id, segments, was_shown=False, agrees=answer == before[-1]))
    measured = _measured(compared, is_sampled=count == MOST_ROWS)
    names = {user.pk: str(user) for user in User.objects.filter(pk__in={each.person for each in compared})}
    people: dict[Hashable, Tally] = defaultdict(Tally)
    for each in compared:
        people[each.person].count(was_shown=each.was_shown, agrees=each.agrees)
    measured.by_person = _largest((names[int(str(pk))], tally) for pk, tally in people.items())
    return measured


def of_respondents(project: Project) -> Measured:
    """Measure it on asks "is this right? If not, what is?". Who says that it is wrong without knowing better disagrees.

    Blind respondents are only asked what it is. At most MOST_ROWS answered asks.
    """
    asks = (
        Ask.objects.filter(
            project=project,
            state=Ask.State.ANSWERED,
            question_version__kind=QuestionVersion.Kind.CORRECTION,
            predicted_answer__isnull=False,
        )
        .order_by("-pk")
        .values_list("pk", "is_blind", "predicted_answer", "item__segments")[:MOST_ROWS]
    )
    found = list(asks)
    corrections = Correction.objects.filter(
        ask__in=[pk for pk, *_ in found], superseded_at__isnull=True, client_id__startswith=Said.ANSWERS
    )
    truth = dict(corrections.values_list("ask_id", "answer"))
    compared = [
        _Compared(None, segments, was_shown=not blind, agrees=truth.get(pk) == predicted)
        for pk, blind, predicted, segments in found
        if pk in truth or not blind
    ]
    return _measured(compared, is_sampled=len(found) == MOST_ROWS)


def anchored_weight(project: Project) -> float:
    """What an answer counts that agrees with a model's answer its giver had seen, in [0.1, 1].

    By the annotators' effect; while their arms are small, by the respondents'. 1 where the interval of the effect includes 0
    or both have small arms. Reads up to MOST_ROWS answers: for a fit of the label model, which keeps it, not for each item.
    """
    annotators = of_annotators(project).overall
    return (annotators if annotators.is_measured else of_respondents(project).overall).weight


# -- inside ------------------------------------------------------------------------------------------------------


def _measured(compared: Sequence[_Compared], *, is_sampled: bool) -> Measured:
    measured = Measured(is_sampled=is_sampled)
    segments: dict[str, Tally] = defaultdict(Tally)
    for each in compared:
        measured.overall.count(was_shown=each.was_shown, agrees=each.agrees)
        if isinstance(each.segments, dict):
            for name, value in each.segments.items():
                segments[f"{name}: {value}"].count(was_shown=each.was_shown, agrees=each.agrees)
    measured.by_segment = _largest(segments.items())[:MOST_SEGMENTS]
    return measured


def _largest(groups: Iterable[tuple[str, Tally]]) -> list[tuple[str, Tally]]:
    return sorted(groups, key=lambda group: (-min(group[1].shown, group[1].blind), -group[1].shown, group[0]))


def _said_of(item_ids: set[int], schema: AnySchema) -> dict[int, list[tuple[dt.datetime, JSONValue]]]:
    """By item, when champions of then and now said what of it, in the order of their registration."""
    predictions = Prediction.objects.filter(item__in=item_ids, model_version__stage__in=_STAGES)
    rows = predictions.order_by("item_id", "model_version_id").values_list(
        "item_id", "created_at", "answer", "probabilities", "model_version__classes"
    )
    said: dict[int, list[tuple[dt.datetime, JSONValue]]] = defaultdict(list)
    for item_id, at, answer, packed, classes in rows:
        if schema.prediction_form != "confidence":
            by_class = dict(zip(classes, unpack(bytes(packed), len(classes)).tolist(), strict=True))
            answer = schema.answer_from([by_class.get(key, 0.0) for key in schema.class_keys])
        if answer is not None:
            said[item_id].append((at, answer))
    return said

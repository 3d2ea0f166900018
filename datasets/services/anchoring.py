"""How much people follow the model's answer because they see it, from tasks and asks that chance made blind.

See docs/algorithms/anchoring.md.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from django.contrib.auth.models import User
from django.db import connection
from numpy.typing import NDArray

from datasets.consensus import anchoring
from datasets.consensus.anchoring import Anchoring, anchoring_effect
from datasets.services.binary_rows import Columns, read
from labeling import selectors
from labeling.models import (
    Annotation,
    AnnotationTask,
    Ask,
    Item,
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

    def add(self, other: "Tally") -> None:
        self.shown += other.shown
        self.shown_agree += other.shown_agree
        self.blind += other.blind
        self.blind_agree += other.blind_agree

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


class _Group(NamedTuple):
    """What one person said of items of the same segments."""

    person_id: int | None
    segments: JSONValue
    tally: Tally


# Whole rows stay in the database: of segments a hash comes, and few are different.
_ANSWERS: Final = """
SELECT said.id, said.task_id, said.annotator_id::bigint, said.item_id, said.is_shown, said.agrees,
    jsonb_hash_extended(item.segments, 0)
FROM (
    SELECT answer.id, answer.task_id, answer.annotator_id, answer.item_id, answer.suggested_answer IS NOT NULL AS is_shown,
        COALESCE(answer.answer = answer.suggested_answer, false) AS agrees
    FROM labeling_annotation answer JOIN labeling_annotationtask task ON task.id = answer.task_id
    WHERE task.project_id = %(project)s AND answer.withdrawn_at IS NULL AND NOT answer.is_ground_truth
        AND NOT task.is_audit AND task.reason <> ALL(%(left_out)s)
    ORDER BY answer.id DESC LIMIT %(most)s
) said JOIN labeling_item item ON item.id = said.item_id"""
_ANSWER_COLUMNS: Final[Columns] = {
    "id": ">i8", "task": ">i8", "annotator": ">i8", "item": ">i8", "is_shown": "?", "agrees": "?", "segments": ">i8",
}  # fmt: skip


def of_annotators(project: Project, *, most: int = MOST_ROWS) -> Measured:
    """Measure it on annotations. Tasks that never show a suggestion are left out of both arms: audit, gold, imported.

    A blind answer is compared with what the newest champion had said of the item by then. The newest `most` answers.
    """
    left_out = [AnnotationTask.Reason.IMPORTED.value, AnnotationTask.Reason.GOLD.value]
    said = read(_ANSWERS, {"project": project.pk, "left_out": left_out, "most": most}, _ANSWER_COLUMNS)
    groups = _shown(said[said["is_shown"]])
    if project.blind_share:
        not_shown = said[~said["is_shown"]]
        draws = zip(*(not_shown[name].tolist() for name in ("id", "task", "annotator")), strict=True)
        groups += _blind(
            project, [pk for pk, task, annotator in draws if is_blind(task, annotator, project.blind_share)]
        )
    measured = _measured(groups, is_sampled=len(said) == most)
    people: dict[int, Tally] = defaultdict(Tally)
    for group in groups:
        if group.person_id is not None:
            people[group.person_id].add(group.tally)
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=people)}
    measured.by_person = _largest((names[pk], tally) for pk, tally in people.items())
    return measured


def _shown(said: NDArray[np.void]) -> list[_Group]:
    """Answers with the model's answer in view, counted by annotator and segments."""
    _, first, kind = np.unique(said["segments"].astype(np.int64), return_index=True, return_inverse=True)
    examples = said["item"][first].tolist()
    segments = dict(Item.objects.filter(pk__in=examples).values_list("pk", "segments"))
    people, person = np.unique(said["annotator"].astype(np.int64), return_inverse=True)
    places, group = np.unique(person * max(1, len(examples)) + kind, return_inverse=True)
    shown, agree = np.bincount(group), np.bincount(group, weights=said["agrees"]).astype(np.int64)
    return [
        _Group(int(people[place // len(examples)]), segments[examples[place % len(examples)]], Tally(n, n_agree))
        for place, n, n_agree in zip(places.tolist(), shown.tolist(), agree.tolist(), strict=True)
    ]


def _blind(project: Project, annotation_ids: list[int]) -> list[_Group]:
    """Blind answers, each beside what the newest champion had said by then; those of which none had are left out."""
    rows = Annotation.objects.filter(pk__in=annotation_ids)
    blind = list(rows.values_list("annotator_id", "item_id", "answer", "created_at", "item__segments"))
    said = _said_of({item_id for _, item_id, *_ in blind}, selectors.parsed_schema(project))
    groups = []
    for annotator_id, item_id, answer, at, segments in blind:
        before = [predicted for when, predicted in said.get(item_id, ()) if when <= at]
        if before:
            groups.append(_Group(annotator_id, segments, Tally(blind=1, blind_agree=int(answer == before[-1]))))
    return groups


_ASKS: Final = """
SELECT item.segments, count(*), count(*) FILTER (WHERE NOT ask.is_blind),
    count(*) FILTER (WHERE NOT ask.is_blind AND truth.answer = ask.predicted_answer),
    count(truth.answer) FILTER (WHERE ask.is_blind),
    count(*) FILTER (WHERE ask.is_blind AND truth.answer = ask.predicted_answer)
FROM (
    SELECT asked.id, asked.item_id, asked.is_blind, asked.predicted_answer FROM labeling_ask asked
        JOIN labeling_questionversion question ON question.id = asked.question_version_id
    WHERE asked.project_id = %(project)s AND asked.state = %(answered)s AND question.kind = %(kind)s
        AND asked.predicted_answer IS NOT NULL
    ORDER BY asked.id DESC LIMIT %(most)s
) ask
JOIN labeling_item item ON item.id = ask.item_id
LEFT JOIN LATERAL (
    SELECT said.answer FROM labeling_correction said
    WHERE said.ask_id = ask.id AND said.superseded_at IS NULL AND starts_with(said.client_id, %(answers)s)
    ORDER BY said.id DESC LIMIT 1
) truth ON true
GROUP BY item.segments"""


def of_respondents(project: Project) -> Measured:
    """Measure it on asks "is this right? If not, what is?". Who says that it is wrong without knowing better disagrees.

    Blind respondents are only asked what it is. At most MOST_ROWS answered asks.
    """
    values: dict[str, int | str] = {
        "project": project.pk,
        "answered": Ask.State.ANSWERED.value,
        "kind": QuestionVersion.Kind.CORRECTION.value,
        "answers": Said.ANSWERS,
        "most": MOST_ROWS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ASKS, values)
        rows = cursor.fetchall()
    groups = [_Group(None, json.loads(segments), Tally(*tally)) for segments, _, *tally in rows]
    return _measured(groups, is_sampled=sum(count for _, count, *_ in rows) == MOST_ROWS)


def anchored_weight(project: Project) -> float:
    """What an answer counts that agrees with a model's answer its giver had seen, in [0.1, 1].

    By the annotators' effect; while their arms are small, by the respondents'. 1 where the interval of the effect includes 0
    or both have small arms. Reads up to MOST_ROWS answers: for a fit of the label model, which keeps it, not for each item.
    """
    annotators = of_annotators(project).overall
    return (annotators if annotators.is_measured else of_respondents(project).overall).weight


# -- inside ------------------------------------------------------------------------------------------------------


def _measured(groups: Sequence[_Group], *, is_sampled: bool) -> Measured:
    measured = Measured(is_sampled=is_sampled)
    segments: dict[str, Tally] = defaultdict(Tally)
    for group in groups:
        measured.overall.add(group.tally)
        if isinstance(group.segments, dict):
            for name, value in group.segments.items():
                segments[f"{name}: {value}"].add(group.tally)
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

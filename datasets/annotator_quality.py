"""How good each annotator's work is, by their last answers: record, confusion, agreement, pace, trend, cost.

At most LOOKED_AT answers a person are read, by the index of their annotations: one statement, whose cost grows with the
number of people and not with what was ever answered.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from datasets.agreement.interval import Agreement, bootstrap, distinct
from datasets.agreement.krippendorff import krippendorff_alpha, nominal_alphas
from datasets.agreement.percent import percent_agreement
from datasets.charts import trend_svg
from datasets.consensus.source_quality.reliability import Reliability
from datasets.models import SourceStanding
from labeling.models import Membership, Project

LOOKED_AT: Final = 500
MOST_PEOPLE: Final = 60
WEEKS: Final = 12
RESAMPLES: Final = 200
LEAST_FOR_INTERVAL: Final = 10
LONGEST_SECONDS: Final = 600.0
"""Somebody who took longer for an answer was away."""

_ANSWERS: Final = """
SELECT person.id, answer.item_id, answer.answer ->> 'choice',
    floor(extract(epoch FROM %(now)s - answer.created_at) / 604800)::int, answer.duration_ms, label.label,
    gold.answer ->> 'choice', gold.id IS NOT NULL, gold.answer = answer.answer,
    EXISTS (SELECT FROM datasets_acceptedlabel_evidence rests
        WHERE rests.acceptedlabel_id = label.id AND rests.annotation_id = answer.id)
FROM unnest(%(people)s::int[]) AS person (id)
CROSS JOIN LATERAL (
    SELECT answer.id, answer.item_id, answer.answer, answer.created_at, answer.duration_ms FROM labeling_annotation answer
        JOIN labeling_annotationtask task ON task.id = answer.task_id
    WHERE answer.annotator_id = person.id AND answer.withdrawn_at IS NULL AND NOT answer.is_ground_truth
        AND task.project_id = %(project)s
    ORDER BY answer.created_at DESC, answer.id DESC LIMIT %(looked_at)s
) answer
LEFT JOIN datasets_acceptedlabel label ON label.item_id = answer.item_id AND label.superseded_at IS NULL
LEFT JOIN datasets_golditem gold ON gold.item_id = answer.item_id
ORDER BY person.id, answer.created_at, answer.id"""

_PEOPLE: Final = """
WITH people AS (
    SELECT user_id AS id FROM labeling_membership WHERE project_id = %(project)s
    UNION SELECT annotator_id FROM labeling_annotatorday WHERE project_id = %(project)s
)
SELECT person.id, person.username, coalesce(membership.role, ''), coalesce(membership.stage, ''), count(*) OVER ()
FROM people JOIN auth_user person ON person.id = people.id
LEFT JOIN labeling_membership membership ON membership.user_id = person.id AND membership.project_id = %(project)s
LEFT JOIN LATERAL (SELECT sum(answered) AS answered FROM labeling_annotatorday
    WHERE project_id = %(project)s AND annotator_id = person.id) days ON true
ORDER BY coalesce(days.answered, 0) DESC, person.username LIMIT %(most)s OFFSET %(offset)s"""


class Answer(NamedTuple):
    """An answer, and what is believed of its item; `choice`, `label` and `truth` are class keys, None where there is none."""

    item_id: int
    choice: str | None
    weeks_ago: int
    duration_ms: int | None
    label: str | None
    truth: str | None
    is_gold: bool
    is_right_on_gold: bool | None
    is_in_a_label: bool


@dataclass(frozen=True)
class Cell:
    """How often items of one class were called another; `shade` from 0 to 9 by its share of the row."""

    count: int
    share: float

    @property
    def shade(self) -> int:
        return min(9, int(10 * self.share))


@dataclass(frozen=True)
class Row:
    """A row of a confusion matrix: the class that is believed, and what was said."""

    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class AnnotatorQuality:
    """All figures of one person. Shares and intervals are None where there is nothing to tell."""

    person_id: int
    username: str
    role: str
    stage: str
    answers: tuple[Answer, ...]
    classes: tuple[tuple[str, str], ...]
    standing: SourceStanding | None
    by_others: dict[int, str] = field(repr=False)

    @property
    def stage_name(self) -> str:
        return str(Membership.Stage(self.stage).label) if self.stage else "No member any more"

    @cached_property
    def reliability(self) -> Reliability | None:
        found = self.standing
        return None if found is None or not found.hits + found.misses else Reliability(found.hits, found.misses)

    @property
    def reliability_interval(self) -> tuple[float, float] | None:
        found = self.reliability
        return None if found is None else (found.quantile(0.025), found.quantile(0.975))

    @property
    def median_ms(self) -> float | None:
        known = [answer.duration_ms for answer in self.answers if answer.duration_ms is not None]
        return float(np.median(known)) if known else None

    @cached_property
    def confusion(self) -> list[Row]:
        """Rows: the label or known answer; columns: what was said. Empty where nothing can be compared."""
        place = {key: number for number, (key, _) in enumerate(self.classes)}
        counts = np.zeros((len(place), len(place)), dtype=np.int64)
        for answer in self.answers:
            believed = answer.truth or answer.label
            if believed in place and answer.choice in place:
                counts[place[believed], place[answer.choice]] += 1
        if not counts.any():
            return []
        totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        shares = counts / totals
        return [
            Row(title, tuple(Cell(int(n), float(share)) for n, share in zip(counts[row], shares[row], strict=True)))
            for row, (_, title) in enumerate(self.classes)
        ]

    @cached_property
    def _pairs(self) -> NDArray[np.float64]:
        """Own answer and what most others say, per item: counts of two, shape (n, K)."""
        place = {key: number for number, (key, _) in enumerate(self.classes)}
        rows = [
            (place[answer.choice], place[other])
            for answer in self.answers
            if answer.choice in place and (other := self.by_others.get(answer.item_id, "")) in place
        ]
        counts = np.zeros((len(rows), max(1, len(place))))
        for number, pair in enumerate(rows):
            for each in pair:
                counts[number, each] += 1.0
        return counts

    @property
    def agreement(self) -> float | None:
        share = percent_agreement(self._pairs)
        return None if np.isnan(share) else share

    @cached_property
    def alpha(self) -> Agreement | None:
        """Krippendorff's alpha with what most others say, with a bootstrap interval from 10 items on."""
        resamples = RESAMPLES if len(self._pairs) >= LEAST_FOR_INTERVAL else 0
        rng = np.random.default_rng(self.person_id)
        pairs = distinct(self._pairs)
        found = bootstrap(krippendorff_alpha, *pairs, rng=rng, resamples=resamples, of_many=nominal_alphas)
        return None if np.isnan(found.value) else found

    @property
    def alpha_interval(self) -> tuple[float, float] | None:
        found = self.alpha
        return None if found is None or np.isnan(found.low) else (found.low, found.high)

    @property
    def gold(self) -> tuple[int, int]:
        """Gold items answered, and right."""
        known = [answer for answer in self.answers if answer.is_gold]
        return len(known), sum(bool(answer.is_right_on_gold) for answer in known)

    @cached_property
    def weeks(self) -> list[float | None]:
        """Share of answers that are the label, of each of the last weeks, oldest first."""
        right: dict[int, list[bool]] = defaultdict(list)
        for answer in self.answers:
            believed = answer.truth or answer.label
            if believed and answer.choice and 0 <= answer.weeks_ago < WEEKS:
                right[answer.weeks_ago].append(answer.choice == believed)
        return [float(np.mean(right[ago])) if right[ago] else None for ago in reversed(range(WEEKS))]

    @property
    def trend(self) -> str:
        last = self.last_week
        title = "" if last is None else f"Share of answers that are the label, by week; the last {last:.0%}"
        return trend_svg(self.weeks, title=title)

    @property
    def last_week(self) -> float | None:
        return next((week for week in reversed(self.weeks) if week is not None), None)

    @property
    def seconds_per_label(self) -> float | None:
        """Seconds of work for each label that rests on an answer of theirs."""
        labels = sum(answer.is_in_a_label for answer in self.answers)
        taken = [answer.duration_ms for answer in self.answers if answer.duration_ms is not None]
        if not labels or not taken:
            return None
        usual = float(np.mean(np.minimum(taken, 1000.0 * LONGEST_SECONDS))) / 1000.0
        return usual * len(self.answers) / labels


@dataclass(frozen=True)
class QualityPage:
    """Some people, and how many there are."""

    people: list[AnnotatorQuality]
    total: int


def annotator_quality(
    project: Project, classes: Sequence[tuple[str, str]], *, now: dt.datetime, most: int = MOST_PEOPLE, offset: int = 0
) -> QualityPage:
    """Members and everybody who ever answered, who answered most first; four statements whatever there is.

    `classes`: keys and titles of the label schema; none where answers are not one class, and then there is no confusion.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE, {"project": project.pk, "most": most, "offset": offset})
        people = cursor.fetchall()
        ids = [row[0] for row in people]
        cursor.execute(_ANSWERS, {"project": project.pk, "people": ids, "looked_at": LOOKED_AT, "now": now})
        answers: dict[int, list[Answer]] = defaultdict(list)
        for row in cursor.fetchall():
            answers[row[0]].append(Answer._make(row[1:]))
    standings = SourceStanding.objects.filter(project=project, annotator__in=ids)
    standing_of = {each.annotator_id: each for each in standings}
    others = _by_others(answers)
    found = [
        AnnotatorQuality(
            person_id, username, role, stage, tuple(answers[person_id]), tuple(classes), standing_of.get(person_id),
            others.get(person_id, {}),
        )
        for person_id, username, role, stage, _ in people
    ]  # fmt: skip
    return QualityPage(found, people[0][4] if people else 0)


def _by_others(answers: dict[int, list[Answer]]) -> dict[int, dict[int, str]]:
    """By person and item, what most others say of it, of those that are shown; ties are left out.

    Of each item the three commonest choices decide: taking one's own answer away changes one of them by one.
    """
    given = [
        (person, each.item_id, each.choice) for person, of in answers.items() for each in of if each.choice is not None
    ]
    if not given:
        return {}
    people, item_ids, said = zip(*given, strict=True)
    code_of: dict[str, int] = {}
    choice = np.array([code_of.setdefault(each, len(code_of)) for each in said], dtype=np.int64)
    items, item = np.unique(np.array(item_ids, dtype=np.int64), return_inverse=True)
    pairs, times = np.unique(item * len(code_of) + choice, return_counts=True)
    order = np.lexsort((-times, pairs // len(code_of)))
    pair_item = pairs[order] // len(code_of)
    rank = np.arange(len(order)) - np.searchsorted(pair_item, pair_item)
    top, count = np.full((len(items), 3), -1, dtype=np.int64), np.zeros((len(items), 3), dtype=np.int64)
    first = rank < 3
    top[pair_item[first], rank[first]] = pairs[order][first] % len(code_of)
    count[pair_item[first], rank[first]] = times[order][first]
    # Of each answer: what others said, without its own.
    others = count[item] - (top[item] == choice[:, None])
    best = others.argmax(axis=1)
    ranked = np.sort(others, axis=1)
    is_plain = (ranked[:, 2] > ranked[:, 1]).tolist()
    names, chosen = list(code_of), top[item, best].tolist()
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for person, item_id, code, is_known in zip(people, item_ids, chosen, is_plain, strict=True):
        if is_known:
            found[person][item_id] = names[code]
    return found

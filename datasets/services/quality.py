"""How good evidence and beliefs of a project are: what the quality page shows. Reads only; bounded, and says so.

See docs/algorithms/agreement.md, docs/algorithms/anchoring.md and docs/algorithms/review.md.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from django.contrib.auth.models import User
from django.db.models import Count, Q
from numpy.typing import NDArray

from datasets.agreement.fleiss import fleiss_kappa, fleiss_kappa_by_class
from datasets.agreement.interval import Agreement, bootstrap, distinct
from datasets.agreement.krippendorff import krippendorff_alpha
from datasets.agreement.pairs import pair_agreement
from datasets.agreement.percent import percent_agreement
from datasets.consensus.ratings import Ratings
from datasets.consensus.reliability_curve import ReliabilityCurve, reliability_curve
from datasets.models import AcceptedLabel, BeliefRun, ReviewDecision, SourceStanding
from datasets.services.binary_rows import Columns, read
from labeling import selectors
from labeling.models import Project
from labeling.schema import Rating, SingleChoice

MOST_ROWS: Final = 25_000
"""So many answers or decisions, the newest, are looked at for a figure."""
MOST_CELLS: Final = 100_000
"""Different items times classes that an interval rests on."""
MOST_CLASSES: Final = 50
"""With more classes in use there are no intervals, which would take long."""
MOST_PAIRS: Final = 20
_RESAMPLES: Final = 200


@dataclass(frozen=True)
class ClassAgreement:
    title: str
    answers: int
    kappa: float | None


@dataclass(frozen=True)
class PairLine:
    first: str
    second: str
    n: int
    percent: float
    kappa: float | None


@dataclass(frozen=True)
class AgreementReport:
    """Agreement of annotators. Figures that are not defined are None; `items` have two answers or more."""

    items: int
    answers: int
    is_sampled: bool
    percent: Agreement | None = None
    fleiss: float | None = None
    alpha: Agreement | None = None
    is_ordinal: bool = False
    classes: list[ClassAgreement] = field(default_factory=list)
    pairs: list[PairLine] = field(default_factory=list)


@dataclass(frozen=True)
class CalibrationReport:
    curve: ReliabilityCurve
    n: int
    is_sampled: bool


@dataclass(frozen=True)
class StepCount:
    step: str
    annotators: int
    respondents: int


# -- agreement ---------------------------------------------------------------------------------------------------


# Classes that the schema does not have are -1.
_ANSWERS: Final = """
    SELECT said.id, said.item_id, said.annotator_id::bigint, COALESCE(class.place, 0) - 1
    FROM (
        SELECT answer.id, answer.item_id, answer.annotator_id, answer.answer FROM labeling_annotation answer
            JOIN labeling_annotationtask task ON task.id = answer.task_id
        WHERE task.project_id = %(project)s AND answer.withdrawn_at IS NULL ORDER BY answer.id DESC LIMIT %(most)s
    ) said
    LEFT JOIN unnest(%(classes)s::text[]) WITH ORDINALITY AS class (key, place) ON class.key = said.answer->>%(name)s"""
_ANSWER_COLUMNS: Final[Columns] = {"id": ">i8", "item": ">i8", "annotator": ">i8", "answer": ">i8"}


def agreement(project: Project) -> AgreementReport | None:
    """Agreement of the newest answers, for single choices and ratings; None for other kinds, where it is not a table."""
    schema = selectors.parsed_schema(project)
    if not isinstance(schema, SingleChoice | Rating):
        return None
    is_ordinal = isinstance(schema, Rating)
    keys = list(schema.class_keys)
    titles = {each.key: each.label for each in schema.label_classes}
    values = {"project": project.pk, "most": MOST_ROWS, "classes": keys, "name": "rating" if is_ordinal else "choice"}
    said = read(_ANSWERS, values, _ANSWER_COLUMNS)
    is_sampled = len(said) == MOST_ROWS
    ratings, people, answers = _ratings(said, len(keys))
    if not ratings.n_items:
        return AgreementReport(0, answers, is_sampled, is_ordinal=is_ordinal)
    counts = np.zeros((ratings.n_items, ratings.n_classes))
    np.add.at(counts, (ratings.item, ratings.answer), 1.0)
    used = np.flatnonzero(counts.sum(axis=0))
    percent, alpha = _with_intervals(counts[:, used], "ordinal" if is_ordinal else "nominal")
    kappas = fleiss_kappa_by_class(counts[:, used]) if len(used) <= MOST_CLASSES else np.full(len(used), np.nan)
    return AgreementReport(
        items=ratings.n_items,
        answers=len(ratings.item),
        is_sampled=is_sampled,
        percent=percent,
        fleiss=_defined(fleiss_kappa(counts[:, used])),
        alpha=alpha,
        is_ordinal=is_ordinal,
        classes=[
            ClassAgreement(titles.get(keys[k], keys[k]), int(counts[:, k].sum()), _defined(kappa))
            for k, kappa in zip(used, kappas.tolist(), strict=True)
        ],
        pairs=_pairs(ratings, people, is_ordinal=is_ordinal) if len(used) <= MOST_CLASSES else [],
    )


def _ratings(said: NDArray[np.void], n_classes: int) -> tuple[Ratings, list[int], int]:
    """The newest answer of each annotator about each item that two or more answered, the annotators, and all newest answers."""
    known = said[said["answer"] >= 0]
    known = known[np.argsort(-known["id"].astype(np.int64))]
    _, item = np.unique(known["item"].astype(np.int64), return_inverse=True)
    people, source = np.unique(known["annotator"].astype(np.int64), return_inverse=True)
    # Of equal values `unique` gives the first, which is the newest.
    _, newest = np.unique(item * len(people) + source, return_index=True)
    is_shared = np.bincount(item[newest], minlength=1)[item[newest]] >= 2
    shared = newest[is_shared]
    items, item_place = np.unique(item[shared], return_inverse=True)
    sources, source_place = np.unique(source[shared], return_inverse=True)
    answer = known["answer"].astype(np.int64)[shared]
    ratings = Ratings(item_place, source_place, answer, len(items), len(sources), n_classes)
    return ratings, people[sources].tolist(), len(newest)


def _with_intervals(counts: NDArray[np.float64], level: str) -> tuple[Agreement, Agreement]:
    """Percent agreement and alpha; the interval of a large set rests on some of its items and is a little too wide."""
    rng = np.random.default_rng(0)  # so that the page shows the same interval at every look

    def alpha(of: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        return krippendorff_alpha(of, weight, level="ordinal" if level == "ordinal" else "nominal")

    resamples = _RESAMPLES if counts.shape[1] <= MOST_CLASSES else 0
    rows, times = distinct(counts)
    some: tuple[NDArray[np.float64], NDArray[np.float64] | None] = (rows, times)
    if rows.size > MOST_CELLS:
        some = rng.permutation(counts)[: MOST_CELLS // counts.shape[1]], None
    found = []
    for measure in (percent_agreement, alpha):
        interval = bootstrap(measure, *some, rng=rng, resamples=resamples)
        found.append(Agreement(measure(rows, times), interval.low, interval.high, len(counts)))
    return found[0], found[1]


def _pairs(ratings: Ratings, people: list[int], *, is_ordinal: bool) -> list[PairLine]:
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=people)}
    found = pair_agreement(ratings, most=MOST_PAIRS, weighting="quadratic" if is_ordinal else "none")
    return [
        PairLine(names[people[pair.first]], names[people[pair.second]], pair.n, pair.percent, _defined(pair.kappa))
        for pair in sorted(found, key=lambda pair: (pair.percent, -pair.n))
    ]


# -- beliefs against what turned out ------------------------------------------------------------------------------


# Gold that a reviewer's decision made is that decision.
_TRUTHS: Final = """
WITH decision AS (
    SELECT decided.id, decided.item_id, decided.decided_at AS at, decided.answer FROM datasets_reviewdecision decided
        JOIN datasets_reviewcase about ON about.id = decided.case_id
    WHERE about.project_id = %(project)s AND decided.action = ANY(%(deciding)s)
), truth AS MATERIALIZED (
    SELECT item_id, at, answer FROM (
        SELECT item_id, at, answer, 0 AS place, id FROM decision
        UNION ALL
        SELECT gold.item_id, gold.created_at, gold.answer, 1, gold.id FROM datasets_golditem gold
        WHERE gold.project_id = %(project)s AND gold.item_id NOT IN (SELECT item_id FROM decision)
    ) told ORDER BY place, id DESC LIMIT %(most)s
)
SELECT COALESCE(stood.probability, 'NaN')::double precision, COALESCE(stood.answer = truth.answer, false)
FROM truth LEFT JOIN LATERAL (
    SELECT label.probability, label.answer FROM datasets_acceptedlabel label
    WHERE label.item_id = truth.item_id AND label.method <> %(reviewed)s AND label.accepted_at < truth.at
        AND (label.superseded_at IS NULL OR label.superseded_at >= truth.at)
    ORDER BY label.id DESC LIMIT 1
) stood ON true"""


def calibration(project: Project) -> CalibrationReport | None:
    """Compare the probabilities of accepted labels with reviewers' later decisions and gold; None where there are none.

    Of each item the label that stood just before the truth was told. What is reviewed is mostly what was in doubt, so this
    is harder than all labels together.
    """
    values = {
        "project": project.pk,
        "most": MOST_ROWS,
        "deciding": [ReviewDecision.Action.DECIDE.value, ReviewDecision.Action.GOLD.value],
        "reviewed": AcceptedLabel.Method.REVIEWED.value,
    }
    truths = read(_TRUTHS, values, {"stated": ">f8", "is_right": "?"})
    stood = truths[~np.isnan(truths["stated"])]
    if not len(stood):
        return None
    curve = reliability_curve(stood["stated"].astype(np.float64), stood["is_right"])
    return CalibrationReport(curve, len(stood), is_sampled=len(truths) >= MOST_ROWS)


# -- sources, the fit -----------------------------------------------------------------------------------------------


def steps(project: Project) -> list[StepCount]:
    """How many annotators and respondents are at which step of trust, every step; nobody has one before an examination."""
    rows = SourceStanding.objects.filter(project=project).values_list("step")
    counts = {
        step: (annotators, respondents)
        for step, annotators, respondents in rows.annotate(
            annotators=Count("pk", filter=Q(annotator__isnull=False)),
            respondents=Count("pk", filter=Q(annotator__isnull=True)),
        ).order_by()
    }
    return [StepCount(step.label, *counts.get(step.value, (0, 0))) for step in SourceStanding.Step]


def last_fit(project: Project) -> BeliefRun | None:
    """The newest fit of the label model, with its warnings."""
    return BeliefRun.objects.filter(project=project).defer("parameters").order_by("-pk").first()


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

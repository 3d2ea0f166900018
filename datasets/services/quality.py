"""How good evidence and beliefs of a project are: what the quality page shows. Reads only; bounded, and says so.

See docs/algorithms/agreement.md, docs/algorithms/anchoring.md and docs/algorithms/review.md.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, Q
from django.db.models.fields.json import KeyTextTransform
from numpy.typing import NDArray

from datasets.agreement.fleiss import fleiss_kappa, fleiss_kappa_by_class
from datasets.agreement.interval import Agreement, bootstrap
from datasets.agreement.krippendorff import krippendorff_alpha
from datasets.agreement.pairs import pair_agreement
from datasets.agreement.percent import percent_agreement
from datasets.consensus.ratings import Ratings
from datasets.consensus.reliability_curve import ReliabilityCurve, reliability_curve
from datasets.estimation.wilson import Estimate, proportion_interval
from datasets.models import AcceptedLabel, BeliefRun, GoldItem, ReviewDecision, SourceStanding
from labeling import selectors
from labeling.models import Annotation, Feedback, Project
from labeling.schema import Rating, SingleChoice

MOST_ROWS: Final = 50_000
"""So many answers, decisions or signals, the newest, are looked at for a figure."""
MOST_BOOTSTRAPPED: Final = 10_000
MOST_CLASSES: Final = 50
"""With more classes in use there are no intervals, which would take long."""
MOST_PAIRS: Final = 20
_RESAMPLES: Final = 200
_BINS: Final = 5


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
class Signal:
    """How often a prediction is right that a signal came about: `right` with its interval, of `right.n` signals."""

    name: str
    right: Estimate


@dataclass(frozen=True)
class SignalReport:
    """What signals are worth: beside all predictions that any signal came about, of which `base` are right.

    `curves`: by kind whose value is a number, its quantile groups, lowest first.
    """

    base: Estimate
    signals: list[Signal]
    curves: list[tuple[str, list[Signal]]]
    is_sampled: bool


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


def agreement(project: Project) -> AgreementReport | None:
    """Agreement of the newest answers, for single choices and ratings; None for other kinds, where it is not a table."""
    schema = selectors.parsed_schema(project)
    if not isinstance(schema, SingleChoice | Rating):
        return None
    is_ordinal = isinstance(schema, Rating)
    key = "rating" if is_ordinal else "choice"
    rows = Annotation.objects.filter(item__project=project, withdrawn_at__isnull=True).order_by("-pk")
    said = list(rows.values_list("item_id", "annotator_id", KeyTextTransform(key, "answer"))[:MOST_ROWS])
    keys = list(schema.class_keys)
    titles = {each.key: each.label for each in schema.label_classes}
    place = {each: position for position, each in enumerate(keys)}
    newest: dict[tuple[int, int], int] = {}
    for item_id, annotator_id, answer in said:
        if answer in place:
            newest.setdefault((item_id, annotator_id), place[answer])
    by_item: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (item_id, annotator_id), answer in newest.items():
        by_item[item_id].append((annotator_id, answer))
    shared = {item_id: answers for item_id, answers in by_item.items() if len(answers) >= 2}
    is_sampled = len(said) == MOST_ROWS
    if not shared:
        return AgreementReport(0, len(newest), is_sampled, is_ordinal=is_ordinal)
    ratings, people = _ratings(shared, len(keys))
    counts = np.zeros((ratings.n_items, ratings.n_classes))
    np.add.at(counts, (ratings.item, ratings.answer), 1.0)
    used = np.flatnonzero(counts.sum(axis=0))
    percent, alpha = _with_intervals(counts[:, used], "ordinal" if is_ordinal else "nominal")
    kappas = fleiss_kappa_by_class(counts[:, used]) if len(used) <= MOST_CLASSES else np.full(len(used), np.nan)
    return AgreementReport(
        items=len(shared),
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


def _ratings(shared: dict[int, list[tuple[int, int]]], n_classes: int) -> tuple[Ratings, list[int]]:
    people = sorted({annotator_id for answers in shared.values() for annotator_id, _ in answers})
    source = {annotator_id: position for position, annotator_id in enumerate(people)}
    rows = [
        (item, source[annotator_id], answer)
        for item, answers in enumerate(shared.values())
        for annotator_id, answer in answers
    ]
    columns = np.array(rows, dtype=np.int64).T
    return Ratings(columns[0], columns[1], columns[2], len(shared), len(people), n_classes), people


def _with_intervals(counts: NDArray[np.float64], level: str) -> tuple[Agreement, Agreement]:
    """Percent agreement and alpha; the interval of a large set rests on some of its items and is a little too wide."""
    rng = np.random.default_rng(0)  # so that the page shows the same interval at every look

    def alpha(of: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
        return krippendorff_alpha(of, weight, level="ordinal" if level == "ordinal" else "nominal")

    resamples = _RESAMPLES if counts.shape[1] <= MOST_CLASSES else 0
    found = []
    for measure in (percent_agreement, alpha):
        some = counts if len(counts) <= MOST_BOOTSTRAPPED else rng.permutation(counts)[:MOST_BOOTSTRAPPED]
        interval = bootstrap(measure, some, rng=rng, resamples=resamples)
        found.append(Agreement(measure(counts, None), interval.low, interval.high, len(counts)))
    return found[0], found[1]


def _pairs(ratings: Ratings, people: list[int], *, is_ordinal: bool) -> list[PairLine]:
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=people)}
    found = pair_agreement(ratings, weighting="quadratic" if is_ordinal else "none")
    largest = sorted(found, key=lambda pair: -pair.n)[:MOST_PAIRS]
    return [
        PairLine(names[people[pair.first]], names[people[pair.second]], pair.n, pair.percent, _defined(pair.kappa))
        for pair in sorted(largest, key=lambda pair: (pair.percent, -pair.n))
    ]


# -- beliefs against what turned out ------------------------------------------------------------------------------


def calibration(project: Project) -> CalibrationReport | None:
    """Compare the probabilities of accepted labels with reviewers' later decisions and gold; None where there are none.

    Of each item the label that stood just before the truth was told. What is reviewed is mostly what was in doubt, so this
    is harder than all labels together.
    """
    decisions = ReviewDecision.objects.filter(item__project=project, action__in=["decide", "gold"]).order_by("-pk")
    truths = list(decisions.values_list("item_id", "decided_at", "answer")[:MOST_ROWS])
    gold = GoldItem.objects.filter(project=project).exclude(item__in=decisions.values("item")).order_by("-pk")
    truths += list(gold.values_list("item_id", "created_at", "answer")[: MOST_ROWS - len(truths)])
    labels: dict[int, list[AcceptedLabel]] = defaultdict(list)
    rows = AcceptedLabel.objects.filter(item__in=[item_id for item_id, *_ in truths])
    for label in rows.exclude(method=AcceptedLabel.Method.REVIEWED).order_by("pk"):
        labels[label.item_id].append(label)
    stated, right = [], []
    for item_id, at, answer in truths:
        stood = [
            label
            for label in labels[item_id]
            if label.accepted_at < at and (label.superseded_at is None or label.superseded_at >= at)
        ]
        if stood:
            stated.append(stood[-1].probability)
            right.append(stood[-1].answer == answer)
    if not stated:
        return None
    curve = reliability_curve(np.array(stated), np.array(right))
    return CalibrationReport(curve, len(stated), is_sampled=len(truths) >= MOST_ROWS)


# -- what signals are worth ----------------------------------------------------------------------------------------

# Labels that rest on feedback are left out: a click would bear witness of itself.
_SIGNALS: Final = """
SELECT said.kind, said.score, said.prediction_id, prediction.predicted_class = label.label
FROM labeling_feedback said
    JOIN labeling_prediction prediction ON prediction.id = said.prediction_id
    JOIN datasets_acceptedlabel label ON label.item_id = said.item_id AND label.superseded_at IS NULL
WHERE said.project_id = %(project)s AND said.superseded_at IS NULL AND said.epsilon IS NULL AND said.item_id IS NOT NULL
    AND label.label <> '' AND prediction.predicted_class <> ''
    AND COALESCE(jsonb_array_length(CASE jsonb_typeof(label.other_evidence -> 'feedback')
        WHEN 'array' THEN label.other_evidence -> 'feedback' END), 0) = 0
    AND said.kind = ANY(%(kinds)s)
ORDER BY said.id DESC LIMIT %(most)s"""

_KINDS: Final = Feedback.Kind
_MEASURES: Final = (_KINDS.DWELL, _KINDS.EDIT, _KINDS.RATING)
_EVENTS: Final = (_KINDS.CLICK, _KINDS.COPY, _KINDS.CONVERSION, _KINDS.RETRY, _KINDS.ABANDONMENT)


def signals(project: Project) -> SignalReport | None:
    """Of predictions whose truth others' evidence has told: how often each signal came with a right one; None without any."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SIGNALS,
            {"project": project.pk, "most": MOST_ROWS, "kinds": [*_MEASURES, *_EVENTS, _KINDS.THUMB]},
        )
        rows = cursor.fetchall()
    if not rows:
        return None
    right: dict[str, list[bool]] = defaultdict(list)
    measured: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for kind, score, _, is_right in rows:
        if kind == _KINDS.THUMB and score is not None:
            right["Thumb up" if score >= 0.5 else "Thumb down"].append(is_right)
        elif kind in _MEASURES and score is not None:
            measured[_KINDS(kind).label].append((score, is_right))
        elif kind in _EVENTS:
            right[_KINDS(kind).label].append(is_right)
    predictions = {prediction_id: is_right for _, _, prediction_id, is_right in rows}
    return SignalReport(
        base=proportion_interval(sum(predictions.values()), len(predictions)),
        signals=[
            Signal(name, proportion_interval(sum(found), len(found)))
            for name, found in sorted(right.items(), key=lambda each: -len(each[1]))
        ],
        curves=[(name, _groups(found)) for name, found in sorted(measured.items())],
        is_sampled=len(rows) == MOST_ROWS,
    )


def _groups(found: list[tuple[float, bool]]) -> list[Signal]:
    """Groups of about equal size by the value; equal values are never in two groups."""
    values = np.array([value for value, _ in found])
    is_right = np.array([right for _, right in found])
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
    groups = []
    for group in np.unique(place):
        chosen = place == group
        low, high = values[chosen].min(), values[chosen].max()
        name = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        groups.append(Signal(name, proportion_interval(int(is_right[chosen].sum()), int(chosen.sum()))))
    return groups


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

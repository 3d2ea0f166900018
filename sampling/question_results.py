"""What respondents said to a question: shares of answers with intervals, and of private questions what they really think."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from django.db.models import Count, Q

from datasets.estimation.horvitz_thompson import hajek
from datasets.estimation.interval import MeanEstimate, normal_interval
from datasets.estimation.randomised_response import FEWEST_ANSWERS, TooFewAnswers, estimate_mixture
from datasets.estimation.wilson import proportion_interval
from labeling import questions
from labeling.models import Ask, Correction, Feedback, Question, QuestionVersion
from labeling.questions.locales import in_locale
from labeling.questions.survey import Survey
from labeling.schema import AnySchema, JSONValue
from sampling.objective import Objective, Progress, progress

# Answers about known items say nothing of what was to be learned.
_OPEN: Final = ~Q(decision__reason="check")
_OPEN_ASK: Final = ~Q(ask__decision__reason="check")
NEWEST_TEXTS: Final = 20
MOST_CHOICES: Final = 20
_THUMBS: Final = (("up", "Good"), ("down", "Not good"))
_VERDICTS: Final = (("up", "The model is right"), ("down", "The model is wrong"))


@dataclass(frozen=True)
class Share:
    """How often an answer was given. `count` is None where single answers are not to be looked at.

    `weighted` weighs each answer by 1 / propensity: the share among all opportunities alike, as far as those who answer are
    like those who do not. None where it adds nothing.
    """

    name: str
    count: int | None
    value: float
    low: float
    high: float
    weighted: MeanEstimate | None = None

    @property
    def shown(self) -> tuple[float, float, float]:
        """Low end, value and high end as they can be drawn, within [0, 1]."""
        low, value, high = (min(max(each, 0.0), 1.0) for each in (self.low, self.value, self.high))
        return low, value, high


@dataclass(frozen=True)
class Tally:
    """The answers to one thing that was asked. `mean` is that of ratings; `others` are choices beyond the most frequent."""

    title: str
    n: int
    shares: tuple[Share, ...]
    mean: MeanEstimate | None = None
    others: int = 0
    is_private: bool = False

    @property
    def is_weighted(self) -> bool:
        return any(share.weighted is not None for share in self.shares)


@dataclass(frozen=True)
class Text:
    text: str
    said_at: dt.datetime


@dataclass(frozen=True)
class Results:
    """`too_few` says why nothing is told of a private question; then there is no tally."""

    asks: int
    shown: int
    answered: int
    progress: Progress
    tallies: tuple[Tally, ...]
    texts: tuple[Text, ...]
    too_few: TooFewAnswers | None = None

    @property
    def done(self) -> float | None:
        """How far the question is, in [0, 1]; None without an objective."""
        wanted = self.progress.wanted
        return min(self.progress.answers / wanted, 1.0) if wanted else None


@dataclass(frozen=True)
class _Answer:
    value: Any
    epsilon: float | None
    propensity: float


def results(question: Question, version: QuestionVersion, label_schema: AnySchema, *, now: dt.datetime) -> Results:
    """What the standing answers to a question come to, in all its versions; `version` is the newest, which words them.

    Of a private question only answers with the same alternatives are estimated from, and none of them below 500.
    """
    asked = questions.parse_question(version.kind, version.definition)
    counts = Ask.objects.filter(_OPEN, question_version__question=question).aggregate(
        asks=Count("pk"), shown=Count("shown_at"), answered=Count("answered_at")
    )
    tallies, texts, too_few = _tallies(question, version, asked, label_schema)
    return Results(
        **counts, progress=_progress(version, asked, counts, now), tallies=tallies, texts=texts, too_few=too_few
    )


def answered_counts(found: Sequence[Question]) -> dict[int, int]:
    """Answered asks of each question; one statement."""
    rows = Ask.objects.filter(_OPEN, question_version__question__in=found, answered_at__isnull=False)
    return dict(rows.values_list("question_version__question").annotate(count=Count("pk")).order_by())


def objective_of(version: QuestionVersion) -> Objective:
    """What a version declares, as sampling.objective takes it."""
    asked = questions.parse_question(version.kind, version.definition)
    return Objective(
        version.target_answers,
        version.target_half_width,
        version.deadline,
        version.epsilon,
        max(len(asked.alternatives), 2),
    )


def _progress(
    version: QuestionVersion, asked: questions.Question, counts: dict[str, int], now: dt.datetime
) -> Progress:
    rate = counts["answered"] / counts["asks"] if counts["asks"] else 0.0
    return progress(objective_of(version), answers=counts["answered"], answer_rate=rate, now=now)


def _tallies(
    question: Question, version: QuestionVersion, asked: questions.Question, label_schema: AnySchema
) -> tuple[tuple[Tally, ...], tuple[Text, ...], TooFewAnswers | None]:
    if version.kind == QuestionVersion.Kind.TEXT:
        return (), _texts(question), None
    if version.epsilon is not None:
        try:
            return (_private(question, asked),), (), None
        except TooFewAnswers as refusal:
            return (), (), refusal
    answers = _answers(question, Feedback.Kind.THUMB if version.kind == QuestionVersion.Kind.CORRECTION else None)
    if version.kind == QuestionVersion.Kind.CORRECTION:
        verdicts = _tally("What they say of the model's answer", answers, _VERDICTS)
        return (verdicts, _truths(question, label_schema)), (), None
    if isinstance(asked, Survey):
        return tuple(_steps(asked, answers)), _texts_of_steps(question, asked), None
    return (_tally("", answers, _choices(asked), is_rating=asked.kind == "rating"),), (), None


def _standing(question: Question) -> Any:
    """Answers by token: what else was said of an ask, such as a dwell time, is none."""
    return Feedback.objects.filter(
        _OPEN_ASK,
        ask__question_version__question=question,
        channel=Feedback.Channel.TOKEN,
        client_id__startswith=Feedback.ANSWERS,
        superseded_at__isnull=True,
    )


def _answers(question: Question, kind: Feedback.Kind | None = None) -> list[_Answer]:
    rows = _standing(question).filter(epsilon__isnull=True)
    if kind:
        rows = rows.filter(kind=kind)
    return [_Answer(*row) for row in rows.order_by("id").values_list("value", "epsilon", "ask__propensity")]


def _choices(asked: questions.Question) -> Sequence[tuple[JSONValue, str]]:
    """Possible answers and their names, in the order in which they are offered."""
    if asked.kind == "thumbs":
        return _THUMBS
    if asked.kind == "preference":
        names = [("a", in_locale(getattr(asked, "a", {}), "en")), ("b", in_locale(getattr(asked, "b", {}), "en"))]
        return [*names, ("tie", "No difference")] if getattr(asked, "tie", False) else names
    if options := getattr(asked, "options", ()):
        return [(option.key, in_locale(option.text, "en")) for option in options]
    return [(each, str(each)) for each in asked.alternatives]


def _tally(
    title: str, answers: Sequence[_Answer], choices: Sequence[tuple[JSONValue, str]], *, is_rating: bool = False
) -> Tally:
    """An answer may be several choices, as a list; choices of older versions that are no more come last, by key."""
    given = [each.value if isinstance(each.value, list) else [each.value] for each in answers]
    counted: Counter[Any] = Counter(value for values in given for value in values)
    names = dict(choices)
    named = [*choices, *((key, str(key)) for key in sorted(set(counted) - set(names), key=str))]
    inclusion = np.array([each.propensity for each in answers])
    shares = [_share(name, [key in values for values in given], inclusion) for key, name in named]
    values = np.array([float(each.value) for each in answers]) if is_rating else None
    return Tally(title, len(answers), tuple(shares), mean=_mean(values))


def _share(name: str, is_given: Sequence[bool], inclusion: "np.ndarray[Any, np.dtype[np.float64]]") -> Share:
    count, n = sum(is_given), len(is_given)
    found = proportion_interval(count, n)
    weighted = None
    # Answers that all had the same chance weigh the same.
    if n and inclusion.min() < inclusion.max():
        weighted = hajek(np.array(is_given, dtype=np.float64), inclusion, population=n)
    return Share(name, count, found.value or 0.0, found.low, found.high, weighted)


def _mean(values: "np.ndarray[Any, np.dtype[np.float64]] | None") -> MeanEstimate | None:
    if values is None or not len(values):
        return None
    error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return normal_interval(float(values.mean()), error, len(values))


def _steps(asked: Survey, answers: Sequence[_Answer]) -> list[Tally]:
    """A tally for each step of a survey but those in free text."""
    tallies = []
    for key, step in asked.questions.items():
        if step.kind == "text":
            continue
        given = [
            _Answer(_plain(each.value[key]), None, each.propensity)
            for each in answers
            if isinstance(each.value, dict) and key in each.value
        ]
        title = in_locale(step.text, "en")
        tallies.append(_tally(title, given, _choices(step), is_rating=step.kind == "rating"))
    return tallies


def _plain(answer: Any) -> Any:
    """{"rating": 4} as 4."""
    return next(iter(answer.values())) if isinstance(answer, dict) and len(answer) == 1 else answer


def _truths(question: Question, label_schema: AnySchema) -> Tally:
    """What respondents say is true, the most frequent first, whether or not the model said so too."""
    rows = Correction.objects.filter(
        _OPEN_ASK,
        ask__question_version__question=question,
        channel=Correction.Channel.TOKEN,
        client_id__startswith=Correction.ANSWERS,
        superseded_at__isnull=True,
    )
    counted: Counter[str] = Counter()
    for answer, n in rows.values_list("answer").annotate(n=Count("pk")).order_by():
        counted[label_schema.summary_of(answer)] += n
    n = sum(counted.values())
    shares = []
    for name, count in sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:MOST_CHOICES]:
        found = proportion_interval(count, n)
        shares.append(Share(name, count, found.value or 0.0, found.low, found.high))
    return Tally("What they say is true", n, tuple(shares), others=max(len(counted) - MOST_CHOICES, 0))


def _private(question: Question, asked: questions.Question) -> Tally:
    """Raises TooFewAnswers."""
    alternatives = list(asked.alternatives)
    counts: dict[float, list[int]] = defaultdict(lambda: [0] * len(alternatives))
    same = [
        version.pk
        for version in question.versions.filter(epsilon__isnull=False)
        if questions.parse_question(version.kind, version.definition).alternatives == asked.alternatives
    ]
    rows = _standing(question).filter(epsilon__isnull=False, question_version__in=same)
    for epsilon, value, n in rows.values_list("epsilon", "value").annotate(n=Count("pk")).order_by():
        if value in alternatives:
            counts[epsilon][alternatives.index(value)] += n
    if not counts:
        raise TooFewAnswers(0, FEWEST_ANSWERS)
    epsilons = sorted(counts)
    found = estimate_mixture(np.array([counts[each] for each in epsilons]), epsilons=np.array(epsilons))
    names = dict(_choices(asked))
    order = [alternatives.index(key) for key, _ in _choices(asked)]
    shares = tuple(
        Share(
            names[alternatives[place]],
            None,
            float(found.values[place]),
            float(found.low[place]),
            float(found.high[place]),
        )
        for place in order
    )
    return Tally("", found.n, shares, is_private=True)


def _texts_of_steps(question: Question, asked: Survey) -> tuple[Text, ...]:
    """The newest answers to the steps in free text."""
    keys = [key for key, step in asked.questions.items() if step.kind == "text"]
    rows = _standing(question).filter(value__has_any_keys=keys).order_by("-id")
    texts = [
        Text(str(_plain(value[key])), at)
        for value, at in rows.values_list("value", "occurred_at")[:NEWEST_TEXTS]
        for key in keys
        if key in value
    ]
    return tuple(texts[:NEWEST_TEXTS])


def _texts(question: Question) -> tuple[Text, ...]:
    rows = _standing(question).filter(~Q(value=None)).order_by("-id")
    return tuple(Text(str(value), at) for value, at in rows.values_list("value", "occurred_at")[:NEWEST_TEXTS])

"""What became of the opportunities to ask: the counts behind the funnel, read from the log of decisions and the asks.

Every figure is of the decisions of a period. The log may keep a sample of the decisions not to ask; each then carries the
weight of those it stands for. Asks are all kept. Respondents are those that the log shows, so at a sampled log their
number at the first two stages is a lower bound.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from django.db import connection

from datasets.estimation.overlap import effective_sample_size
from labeling.models import Feedback, ModelVersion, Project
from sampling.ask_funnel import (
    PROPENSITY_STEPS,
    Anchoring,
    Bin,
    Count,
    Crowd,
    Funnel,
    Group,
    Guardrail,
    Representation,
    anchoring,
    guardrails,
    representation,
)
from sampling.models import AskDecision
from sampling.pacing import paced_target

DEFAULT_PERIOD: Final = dt.timedelta(days=30)
OUTCOMES: Final = ("abandonment", "retry", "conversion")
"""Kinds of implicit feedback that tell whether asking does harm."""

_PERIOD: Final = """decision.project_id = %(project)s AND decision.created_at >= %(since)s AND decision.created_at < %(until)s
    AND (%(question)s = '' OR decision.question_version_id IN (SELECT version.id FROM labeling_questionversion version
        JOIN labeling_question question ON question.id = version.question_id
        WHERE question.project_id = %(project)s AND question.key = %(question)s))"""

# One walk over the log for all breakdowns. Only asks have an arm. What a respondent did is put together first: to sort
# every decision once a breakdown, only to count different respondents, costs most of the time.
_FUNNEL: Final = f"""
SELECT grouping(segment, model, draw, sight), segment, model, draw, sight,
    coalesce(sum(opportunities), 0), count(DISTINCT who),
    coalesce(sum(eligible), 0), count(DISTINCT who) FILTER (WHERE eligible > 0),
    coalesce(sum(selected), 0)::int, count(DISTINCT who) FILTER (WHERE selected > 0),
    coalesce(sum(shown), 0)::int, count(DISTINCT who) FILTER (WHERE shown > 0),
    coalesce(sum(answered), 0)::int, count(DISTINCT who) FILTER (WHERE answered > 0),
    coalesce(sum(accepted), 0)::int, count(DISTINCT who) FILTER (WHERE accepted > 0),
    coalesce(sum(dismissed), 0)::int, count(DISTINCT who) FILTER (WHERE dismissed > 0)
FROM (SELECT segment, model, draw, sight, who, sum(weight) AS opportunities,
        sum(weight) FILTER (WHERE is_eligible) AS eligible, count(*) FILTER (WHERE is_ask) AS selected,
        count(shown_at) AS shown, count(answered_at) AS answered, count(dismissed_at) AS dismissed,
        count(*) FILTER (WHERE answered_at IS NOT NULL AND EXISTS (SELECT 1 FROM datasets_acceptedlabel label
            WHERE label.item_id = fate.item_id AND label.superseded_at IS NULL)) AS accepted
    FROM (SELECT decision.segment, decision.model_version_id AS model, decision.is_eligible, decision.is_ask,
            decision.log_weight AS weight, nullif(decision.respondent_hash, '') COLLATE "C" AS who,
            CASE WHEN NOT decision.is_ask THEN '' WHEN decision.reason = 'audit' THEN 'audit' ELSE 'policy' END AS draw,
            CASE WHEN NOT decision.is_ask THEN '' WHEN decision.is_blind THEN 'blind' ELSE 'shown' END AS sight,
            ask.item_id, ask.shown_at, ask.dismissed_at, ask.answered_at
        FROM sampling_askdecision decision LEFT JOIN labeling_ask ask ON ask.id = decision.ask_id
        WHERE {_PERIOD}) fate
    GROUP BY 1, 2, 3, 4, 5) of_respondent
GROUP BY GROUPING SETS ((), (segment), (model), (draw), (sight))"""  # noqa: S608 - no value is in the text
_ALL, _BY_SEGMENT, _BY_MODEL, _BY_DRAW, _BY_SIGHT = 0b1111, 0b0111, 0b1011, 0b1101, 0b1110

_REASONS: Final = f"""
SELECT reason, sum(weight), count(who), max(largest) > 1
FROM (SELECT decision.reason, nullif(decision.respondent_hash, '') AS who, sum(decision.log_weight) AS weight,
        max(decision.log_weight) AS largest
    FROM sampling_askdecision decision WHERE {_PERIOD} GROUP BY 1, 2) of_respondent
GROUP BY 1 ORDER BY 2 DESC, 1"""  # noqa: S608 - as above

# A propensity of 1 belongs to the last step.
_PROPENSITIES: Final = f"""
SELECT least(floor(decision.propensity * %(steps)s)::int, %(steps)s - 1), sum(decision.log_weight),
    sum(decision.log_weight * decision.propensity), count(*) FILTER (WHERE decision.is_ask)
FROM sampling_askdecision decision WHERE {_PERIOD} AND decision.propensity IS NOT NULL GROUP BY 1"""  # noqa: S608

# Who passed the gates that come before the holdout: only they were sorted into asked and never asked.
_CROWDS: Final = f"""
WITH people AS (
    SELECT decision.respondent_hash AS who, bool_or(decision.reason = 'holdout') AS is_holdout,
        sum(decision.log_weight) AS opportunities, count(*) FILTER (WHERE decision.is_ask) AS asks
    FROM sampling_askdecision decision WHERE {_PERIOD} AND decision.respondent_hash <> ''
    GROUP BY 1 HAVING bool_or(decision.reason NOT IN ('off', 'no_question', 'no_consent', 'degraded'))),
happened AS (
    SELECT respondent_hash AS who, bool_or(kind = 'abandonment') AS abandonment, bool_or(kind = 'retry') AS retry,
        bool_or(kind = 'conversion') AS conversion
    FROM labeling_feedback
    WHERE project_id = %(project)s AND received_at >= %(since)s AND received_at < %(until)s AND respondent_hash <> ''
        AND superseded_at IS NULL AND kind IN ('abandonment', 'retry', 'conversion')
    GROUP BY 1)
SELECT is_holdout, count(*), sum(opportunities), sum(opportunities ^ 2), sum(asks),
    count(*) FILTER (WHERE happened.abandonment), count(*) FILTER (WHERE happened.retry),
    count(*) FILTER (WHERE happened.conversion), count(*) FILTER (WHERE respondent.opted_out_until > %(until)s)
FROM people LEFT JOIN happened USING (who)
    LEFT JOIN labeling_respondent respondent
        ON respondent.project_id = %(project)s AND respondent.respondent_hash = people.who
GROUP BY 1"""  # noqa: S608 - as above

# Answers that stand: other feedback may name the ask too.
_ANSWERS: Final = f"superseded_at IS NULL AND channel = 'token' AND starts_with(client_id, '{Feedback.ANSWERS}')"

# What the newest standing answer says of the model: the thumb where it was shown, the stated answer where it was hidden.
_AGREEMENT: Final = f"""
SELECT is_blind, count(*), count(*) FILTER (WHERE agrees)
FROM (SELECT ask.is_blind, CASE WHEN ask.is_blind THEN stated.answer = ask.predicted_answer
        ELSE coalesce(opinion.score = 1, stated.answer = ask.predicted_answer) END AS agrees
    FROM sampling_askdecision decision
        JOIN labeling_ask ask ON ask.id = decision.ask_id
        JOIN labeling_questionversion asked ON asked.id = ask.question_version_id AND asked.kind = 'correction'
        LEFT JOIN LATERAL (SELECT answer FROM labeling_correction
            WHERE ask_id = ask.id AND {_ANSWERS} ORDER BY id DESC LIMIT 1) stated ON true
        LEFT JOIN LATERAL (SELECT score FROM labeling_feedback
            WHERE ask_id = ask.id AND kind = 'thumb' AND {_ANSWERS} ORDER BY id DESC LIMIT 1) opinion ON true
    WHERE {_PERIOD} AND ask.answered_at IS NOT NULL AND ask.predicted_answer IS NOT NULL) said
WHERE agrees IS NOT NULL GROUP BY 1"""  # noqa: S608 - as above

_ANSWERED: Final = f"""
SELECT ask.propensity, extract(epoch FROM ask.answered_at - ask.shown_at)::float8
FROM sampling_askdecision decision JOIN labeling_ask ask ON ask.id = decision.ask_id
WHERE {_PERIOD} AND ask.answered_at IS NOT NULL"""  # noqa: S608 - as above

_SPENT: Final = """
SELECT least(floor(extract(epoch FROM created_at - %(since)s) / %(seconds)s)::int, %(steps)s - 1), count(*)
FROM labeling_ask WHERE project_id = %(project)s AND created_at >= %(since)s AND created_at < %(until)s GROUP BY 1"""
SPENDING_STEPS: Final = 30


@dataclass(frozen=True)
class Period:
    """The decisions to report on: from `since` on, before `until`, about one question if its key is named."""

    since: dt.datetime
    until: dt.datetime
    question: str = ""


@dataclass(frozen=True)
class Breakdown:
    """The funnel of a period as a whole and by what an opportunity or an ask may differ in."""

    all: Funnel
    by_segment: tuple[Group, ...]
    by_model_version: tuple[Group, ...]
    by_draw: tuple[Group, ...]
    """Asks by who drew them: the policy, or its uniform audit share."""
    by_sight: tuple[Group, ...]
    """Asks that showed what the model said, and blind ones."""


@dataclass(frozen=True)
class ReasonCount:
    """`is_sampled`: the log holds some of these decisions only, and the rest is in their weight."""

    reason: AskDecision.Reason
    count: float
    respondents: int
    is_sampled: bool


@dataclass(frozen=True)
class Harm:
    """The guardrails, the two sides they compare, and the opt-outs that stand at the end of the period."""

    asked: Crowd
    holdout: Crowd
    guardrails: tuple[Guardrail, ...]

    @property
    def opted_out(self) -> int:
        return self.asked.happened.get("opt_out", 0)


@dataclass(frozen=True)
class Answers:
    """`effective_n`: so many answers of equal chance would tell as much as these, weighted by 1 / propensity (Kish)."""

    n: int
    effective_n: float
    median_seconds: float | None


@dataclass(frozen=True)
class Spending:
    """Asks of a budget period that is under way, in equal steps of its time, beside an even pace."""

    budget: int
    since: dt.datetime
    period_seconds: int
    now: dt.datetime
    by_step: tuple[int, ...]

    @property
    def spent(self) -> int:
        return sum(self.by_step)

    @property
    def elapsed_seconds(self) -> float:
        return (self.now - self.since).total_seconds()

    @property
    def target(self) -> float:
        """What an even pace has spent by now."""
        return paced_target(
            budget=self.budget, elapsed_seconds=self.elapsed_seconds, period_seconds=self.period_seconds
        )

    @property
    def until(self) -> dt.datetime:
        return self.since + dt.timedelta(seconds=self.period_seconds)


@dataclass(frozen=True)
class Report:
    """Everything the funnel page and the API say of a period."""

    period: Period
    breakdown: Breakdown
    reasons: list[ReasonCount]
    propensities: list[Bin]
    harm: Harm
    anchoring: Anchoring
    representation: Representation | None
    answers: Answers


def period(
    *, now: dt.datetime, since: dt.datetime | None = None, until: dt.datetime | None = None, question: str = ""
) -> Period:
    """The period asked for: up to now and 30 days long where that is left open."""
    end = until or now
    return Period(since or end - DEFAULT_PERIOD, end, question)


def report(project: Project, period: Period) -> Report:
    """Seven statements."""
    found = breakdown(project, period)
    return Report(
        period=period,
        breakdown=found,
        reasons=reasons(project, period),
        propensities=propensities(project, period),
        harm=harm(project, period),
        anchoring=agreement(project, period),
        representation=representation(found.by_segment),
        answers=answers(project, period),
    )


def breakdown(project: Project, period: Period) -> Breakdown:
    """One statement, and one for the names of model versions."""
    found: dict[int, list[tuple[object, Funnel]]] = {}
    for grouping, segment, model, draw, sight, *counts in _rows(_FUNNEL, project, period):
        key = {_BY_SEGMENT: segment, _BY_MODEL: model, _BY_DRAW: draw, _BY_SIGHT: sight}.get(grouping)
        found.setdefault(grouping, []).append((key, _funnel(counts)))
    names: dict[object, str] = dict(ModelVersion.objects.filter(project=project).values_list("pk", "name"))
    return Breakdown(
        all=found[_ALL][0][1],
        by_segment=_groups([(str(key or ""), funnel) for key, funnel in found.get(_BY_SEGMENT, [])]),
        by_model_version=_groups([(names.get(key, ""), funnel) for key, funnel in found.get(_BY_MODEL, [])]),
        by_draw=_groups([(str(key), funnel) for key, funnel in found.get(_BY_DRAW, []) if key]),
        by_sight=_groups([(str(key), funnel) for key, funnel in found.get(_BY_SIGHT, []) if key]),
    )


def reasons(project: Project, period: Period) -> list[ReasonCount]:
    """Decisions by reason, the most frequent first; one statement."""
    return [
        ReasonCount(AskDecision.Reason(reason), count, respondents, is_sampled)
        for reason, count, respondents, is_sampled in _rows(_REASONS, project, period)
    ]


def propensities(project: Project, period: Period) -> list[Bin]:
    """Decisions that chance made, in steps of a tenth; one statement."""
    counted = {step: rest for step, *rest in _rows(_PROPENSITIES, project, period, steps=PROPENSITY_STEPS)}
    bins = []
    for step in range(PROPENSITY_STEPS):
        decisions, expected, asked = counted.get(step, (0.0, 0.0, 0))
        low, high = step / PROPENSITY_STEPS, (step + 1) / PROPENSITY_STEPS
        bins.append(Bin(low=low, high=high, decisions=decisions, expected=expected, asked=asked))
    return bins


def harm(project: Project, period: Period) -> Harm:
    """Respondents who may be asked beside the holdout; one statement. Opt-outs that end before the period did are over."""
    sides = {True: Crowd(0, 0.0, 0.0, 0, {}), False: Crowd(0, 0.0, 0.0, 0, {})}
    for is_holdout, respondents, opportunities, squared, asks, *happened in _rows(_CROWDS, project, period):
        outcomes = dict(zip((*OUTCOMES, "opt_out"), happened, strict=True))
        sides[is_holdout] = Crowd(respondents, opportunities, squared, int(asks), outcomes)
    return Harm(sides[False], sides[True], tuple(guardrails(sides[False], sides[True], OUTCOMES)))


def agreement(project: Project, period: Period) -> Anchoring:
    """Agreement with the model in answers to corrections, shown and blind; one statement."""
    counts = {is_blind: (n, agree) for is_blind, n, agree in _rows(_AGREEMENT, project, period)}
    shown, agree_shown = counts.get(False, (0, 0))
    blind, agree_blind = counts.get(True, (0, 0))
    return anchoring(agree_shown=agree_shown, shown=shown, agree_blind=agree_blind, blind=blind)


def answers(project: Project, period: Period) -> Answers:
    """One statement. Times to answer leave out answers whose ask was never reported as shown before."""
    rows = _rows(_ANSWERED, project, period)
    weights = np.array([1.0 / propensity for propensity, _ in rows])
    seconds = [elapsed for _, elapsed in rows if elapsed]
    return Answers(len(rows), effective_sample_size(weights), float(np.median(seconds)) if seconds else None)


def spending(project: Project, *, budget: int, since: dt.datetime, period_seconds: int, now: dt.datetime) -> Spending:
    """Asks since `since`, when the budget period that holds `now` began; one statement."""
    named: dict[str, int | float | dt.datetime] = {
        "project": project.pk,
        "since": since,
        "until": since + dt.timedelta(seconds=period_seconds),
        "seconds": period_seconds / SPENDING_STEPS,
        "steps": SPENDING_STEPS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SPENT, named)
        counts: dict[int, int] = dict(cursor.fetchall())
    by_step = tuple(counts.get(step, 0) for step in range(SPENDING_STEPS))
    return Spending(budget, since, period_seconds, now, by_step)


def _rows(statement: str, project: Project, period: Period, **values: int) -> list[tuple[Any, ...]]:
    named: dict[str, int | str | dt.datetime] = {
        "project": project.pk,
        "since": period.since,
        "until": period.until,
        "question": period.question,
        **values,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _funnel(counts: Sequence[float]) -> Funnel:
    pairs = [Count(count, int(who)) for count, who in zip(counts[::2], counts[1::2], strict=True)]
    return Funnel(*pairs)


def _groups(found: Sequence[tuple[str, Funnel]]) -> tuple[Group, ...]:
    largest_first = sorted(found, key=lambda each: (-each[1].opportunities.count, each[0]))
    return tuple(Group(name, funnel) for name, funnel in largest_first)

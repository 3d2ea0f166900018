"""How respondents react to asks, and which segments the labels so far are of: what utilities are measured by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from sampling.asking.situation import Rates

_DAYS: Final = 30
_SHARE_HALF_LIFE_DAYS: Final = 14
_MOST_LABELS: Final = 5_000
_PRIOR_ASKS: Final = 20.0
_PRIOR = Rates()
_LEAST_STRENGTH, _MOST_STRENGTH = 2.0, 100.0
_FEWEST_RESPONDENTS: Final = 50
"""Who were asked more than once; with fewer, nobody knows how much they differ."""

# Asks whose outcome is known: answered, dismissed, or over.
_BY_SEGMENT: Final = """
SELECT segment, count(*), count(*) FILTER (WHERE state = 'answered'), count(*) FILTER (WHERE state = 'dismissed')
FROM labeling_ask
WHERE project_id = %(project)s AND created_at >= %(since)s AND created_at < %(now)s
    AND (state IN ('answered', 'dismissed', 'expired') OR expires_at <= %(now)s)
GROUP BY segment"""

# Moments of the number of answers of respondents with the same number of asks.
_SPREAD: Final = """
SELECT count(*), sum(asks), sum(answers), sum(answers * answers::float8), sum(asks * asks::float8)
FROM (SELECT count(*) AS asks, count(*) FILTER (WHERE state = 'answered') AS answers
      FROM labeling_ask
      WHERE project_id = %(project)s AND created_at >= %(since)s AND created_at < %(now)s AND respondent_hash <> ''
          AND (state IN ('answered', 'dismissed', 'expired') OR expires_at <= %(now)s)
      GROUP BY respondent_hash HAVING count(*) >= 2) respondent"""

_LABELS: Final = """
SELECT item.segments->>%(segment)s, sum(exp(-extract(epoch FROM %(now)s - label.accepted_at) / %(life)s))
FROM (SELECT item_id, accepted_at FROM datasets_acceptedlabel
      WHERE project_id = %(project)s AND superseded_at IS NULL AND accepted_at <= %(now)s
      ORDER BY id DESC LIMIT %(most)s) label
    JOIN labeling_item item ON item.id = label.item_id
GROUP BY 1"""


@dataclass(frozen=True)
class ResponseRates:
    """By segment value; `overall` is for values that were never asked."""

    overall: Rates = _PRIOR
    by_segment: Mapping[str, Rates] = field(default_factory=dict)

    def of(self, segment: str) -> Rates:
        return self.by_segment.get(segment, self.overall)


def response_rates(project_id: int, *, now: datetime) -> ResponseRates:
    """Rates of the asks of the last 30 days whose outcome is known, shrunk to the project's and those to 20%.

    The project's rate is a posterior mean with a prior of 20 asks; a segment's is one with the project's as prior. How
    far a respondent's own history counts against it, the strength, comes from how much respondents differ.
    """
    values: dict[str, int | datetime] = {"project": project_id, "since": now - timedelta(days=_DAYS), "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_BY_SEGMENT, values)
        rows = cursor.fetchall()
        cursor.execute(_SPREAD, values)
        spread = cursor.fetchone()
    asks, answered, dismissed = (sum(row[place] for row in rows) for place in (1, 2, 3))
    typical, turned_away = _shrunk(answered, asks, _PRIOR.answered), _shrunk(dismissed, asks, _PRIOR.dismissed)
    strength = _strength(*spread) if spread[0] >= _FEWEST_RESPONDENTS else _PRIOR.strength
    return ResponseRates(
        Rates(typical, turned_away, strength, typical),
        {
            segment: Rates(_shrunk(yes, count, typical), _shrunk(no, count, turned_away), strength, typical)
            for segment, count, yes, no in rows
            if segment
        },
    )


def label_shares(project_id: int, segment: str, *, now: datetime) -> dict[str, float]:
    """Share of each value of the segment among the labels in force, the newest 5,000 of them, newer ones counting more.

    A label counts exp(-age / 14 days). Empty without labels or without a segment.
    """
    if not segment:
        return {}
    life = _SHARE_HALF_LIFE_DAYS * 86_400.0
    with connection.cursor() as cursor:
        cursor.execute(
            _LABELS, {"project": project_id, "segment": segment, "now": now, "life": life, "most": _MOST_LABELS}
        )
        weights = {value: float(weight) for value, weight in cursor.fetchall() if value is not None}
    total = sum(weights.values())
    return {value: weight / total for value, weight in weights.items()} if total > 0 else {}


def _shrunk(hits: int, trials: int, prior: float) -> float:
    return (hits + _PRIOR_ASKS * prior) / (trials + _PRIOR_ASKS)


def _strength(respondents: int, asks: int, answers: int, squared_answers: float, squared_asks: float) -> float:
    """The strength of a Beta-Binomial by the method of moments: (1 - rho) / rho with rho the correlation of two answers
    of one respondent, estimated as the excess of pairs that were both answered over what chance gives."""
    rate = answers / asks
    if not 0.0 < rate < 1.0:
        return _MOST_STRENGTH
    pairs = float(squared_asks) - float(asks)
    both = float(squared_answers) - float(answers)
    correlation = (both / pairs - rate * rate) / (rate * (1.0 - rate))
    if correlation <= 0.0:
        return _MOST_STRENGTH
    return min(max((1.0 - correlation) / correlation, _LEAST_STRENGTH), _MOST_STRENGTH)

"""How many gold items to mix into somebody's work, and when their record settles the question."""

import math
from dataclasses import dataclass
from typing import Final, Literal

HONEST_ACCURACY: Final = 0.85
ERROR: Final = 0.05
Verdict = Literal["honest", "not_honest", "undecided"]


@dataclass(frozen=True)
class GoldTest:
    """Wald's sequential test of an honest source (right with chance `honest`) against another (`other`).

        log ratio = hits log(other / honest) + misses log((1 - other) / (1 - honest))

    It is over as soon as the ratio leaves (-bound, bound), bound = log((1 - error) / error): then each kind of error has about
    the chance `error`.

    >>> round(GoldTest(other=0.5).expected_golds(), 1), round(GoldTest(other=0.15).expected_golds(), 1)
    (8.7, 2.4)
    """

    other: float
    honest: float = HONEST_ACCURACY
    error: float = ERROR

    def __post_init__(self) -> None:
        if not (0 < self.other < self.honest < 1 and 0 < self.error < 0.5):
            raise ValueError("0 < other < honest < 1 and 0 < error < 1/2")

    @property
    def bound(self) -> float:
        return math.log((1.0 - self.error) / self.error)

    def log_ratio(self, hits: float, misses: float) -> float:
        """Above 0: more like the other one; nats."""
        per_hit = math.log(self.other / self.honest)
        return hits * per_hit + misses * math.log((1.0 - self.other) / (1.0 - self.honest))

    def verdict(self, hits: float, misses: float) -> Verdict:
        """What the record says so far.

        >>> GoldTest(other=0.5).verdict(2, 6), GoldTest(other=0.5).verdict(8, 1), GoldTest(other=0.5).verdict(1, 1)
        ('not_honest', 'honest', 'undecided')
        """
        ratio = self.log_ratio(hits, misses)
        return "not_honest" if ratio >= self.bound else "honest" if ratio <= -self.bound else "undecided"

    def expected_golds(self) -> float:
        """About how many gold items unmask the other one: bound / KL(other, honest)."""
        p, q = self.other, self.honest
        return self.bound / (p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q)))


def gold_rate(
    hits: float, misses: float, *, highest: float = 0.25, lowest: float = 0.02, known_after: float = 20.0
) -> float:
    """Return the share of gold to mix into somebody's next work: much while little is known or the record is bad.

        rate = lowest + (highest - lowest) max(1 - n / known_after, 2 (1 - m))   within [lowest, highest]

    with n golds answered and m the mean of Beta(1 + hits, 1 + misses). So newcomers get `highest`, a proven good source falls to
    about twice its error rate, and one whose record turns bad is looked at again.

    >>> gold_rate(0, 0), round(gold_rate(40, 0), 3), round(gold_rate(20, 20), 3)
    (0.25, 0.031, 0.25)
    """
    if not 0 <= lowest <= highest <= 1:
        raise ValueError("0 <= lowest <= highest <= 1")
    mean = (1.0 + hits) / (2.0 + hits + misses)
    need = max(1.0 - (hits + misses) / known_after, 2.0 * (1.0 - mean))
    return lowest + (highest - lowest) * min(1.0, max(0.0, need))

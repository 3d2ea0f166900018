"""The learning curve as the overview shows it: two drawings, the points behind them, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final

from django.utils.safestring import SafeString, mark_safe

from training.charts import Arm, CurvePoint, Source, learning_curve_svg

_FEWEST_POINTS: Final = 2
_NAMES: Final[dict[tuple[Arm, Source], str]] = {
    ("active", "test_set"): "Actively chosen, test set",
    ("random", "test_set"): "Uniformly drawn, test set",
    ("active", "audit"): "Deployed model, audit labels",
    ("active", "control_arm"): "Chosen labels",
    ("random", "control_arm"): "Random labels",
}


@dataclass(frozen=True)
class SeriesPoint:
    """One point of a line: the average over the seeds that were run."""

    arm: Arm
    source: Source
    labels: int
    accuracy: float
    low: float
    high: float
    evaluated_on: int

    @property
    def name(self) -> str:
        return _NAMES.get((self.arm, self.source), f"{self.arm}, {self.source}")


@dataclass(frozen=True)
class LearningCurve:
    """`saving` says how many labels choosing them has saved; empty where that cannot be said."""

    wide: SafeString
    narrow: SafeString
    points: tuple[SeriesPoint, ...]
    saving: str


def learning_curve(points: Sequence[CurvePoint]) -> LearningCurve | None:
    """None while no line has two points."""
    series = _averaged(points)
    lengths = [len(list(line)) for _, line in groupby(series, key=lambda point: (point.arm, point.source))]
    if max(lengths, default=0) < _FEWEST_POINTS:
        return None
    return LearningCurve(
        wide=_drawn(tuple(points), 900, 280),
        narrow=_drawn(tuple(points), 280, 230),
        points=series,
        saving=_saving(series),
    )


@lru_cache(maxsize=64)
def _drawn(points: tuple[CurvePoint, ...], width: int, height: int) -> SafeString:
    """Points are only ever added, so a drawing stays good; it costs 25 ms, and the first one of a process a second."""
    return mark_safe(learning_curve_svg(points, width=width, height=height))  # noqa: S308 - drawn from numbers


def _averaged(points: Sequence[CurvePoint]) -> tuple[SeriesPoint, ...]:
    def line(point: CurvePoint) -> tuple[Arm, Source, int]:
        return point.arm, point.source, point.label_count

    series = []
    for (arm, source, labels), group in groupby(sorted(points, key=line), key=line):
        runs = list(group)
        series.append(
            SeriesPoint(
                arm=arm,
                source=source,
                labels=labels,
                accuracy=sum(run.accuracy for run in runs) / len(runs),
                low=sum(run.accuracy_low for run in runs) / len(runs),
                high=sum(run.accuracy_high for run in runs) / len(runs),
                evaluated_on=round(sum(run.evaluated_on for run in runs) / len(runs)),
            )
        )
    return tuple(series)


def _saving(series: Sequence[SeriesPoint]) -> str:
    """How many chosen labels did what all the random ones did, by a straight line between the points."""
    on_test_set = [point for point in series if point.source == "test_set"]
    active = [point for point in on_test_set if point.arm == "active"]
    random = [point for point in on_test_set if point.arm == "random"]
    if not active or not random:
        return ""
    goal = random[-1].accuracy
    place = next((index for index, point in enumerate(active) if point.accuracy >= goal), None)
    if place is None:
        return ""
    labels = float(active[place].labels)
    if place:
        before, after = active[place - 1], active[place]
        share = (goal - before.accuracy) / (after.accuracy - before.accuracy)
        labels = before.labels + share * (after.labels - before.labels)
    return f"About {labels:,.0f} chosen labels do what {random[-1].labels:,} random ones do: {goal:.1%} right."

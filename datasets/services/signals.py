"""What signals (thumbs, clicks, dwell, ..) are worth: how often they come with a right prediction, and what they foretell.

Reads only; bounded, and says so. See docs/algorithms/signals.md.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus import signal_rates
from datasets.consensus.reliability_curve import reliability_curve
from datasets.consensus.signal_rates import ABSENT
from datasets.estimation.wilson import Estimate, proportion_interval
from datasets.services.binary_rows import Columns, read
from labeling.models import Feedback, Project

MOST_SIGNALS: Final = 50_000
"""Among so many, the newest, those are counted whose truth is known: it is told later than they come."""
LEAST_CALIBRATED: Final = 50
"""With fewer predictions whose truth is known there is no reliability curve."""
_GROUPS: Final = 5
_KINDS: Final = Feedback.Kind
_MEASURES: Final = (_KINDS.DWELL, _KINDS.EDIT, _KINDS.RATING)
_EVENTS: Final = (_KINDS.CLICK, _KINDS.COPY, _KINDS.CONVERSION, _KINDS.RETRY, _KINDS.ABANDONMENT)
_COUNTED: Final = (_KINDS.THUMB, *_EVENTS, *_MEASURES, _KINDS.IMPRESSION)
_IMPRESSION: Final = _COUNTED.index(_KINDS.IMPRESSION)
_CHANNELS: Final = len(_COUNTED) - 1
"""An impression says that there could have been a signal, and nothing else."""


@dataclass(frozen=True)
class Signal:
    """How often a prediction is right that a signal came about: `right` with its interval, of `right.n` signals."""

    name: str
    right: Estimate


@dataclass(frozen=True)
class Bin:
    """Predictions whose signals foretell about the same: the mean chance of being right, and how many are, with interval."""

    foretold: float
    right: Estimate


@dataclass(frozen=True)
class Calibration:
    """Whether what signals foretell comes true. Each prediction is judged by rates that were learned without its item.

    bins
        Ten of equal width over [0, 1], without the empty ones, lowest first.
    expected_error
        Mean distance between foretold and true over the predictions (expected calibration error).
    brier, base_brier
        Mean squared error of what is foretold, and of the base rate for all alike: below it, signals tell something.
    """

    bins: list[Bin]
    n: int
    expected_error: float
    brier: float
    base_brier: float


@dataclass(frozen=True)
class SignalReport:
    """What signals are worth: beside all predictions that any signal came about, of which `base` are right.

    `curves`: by kind whose value is a number, its quantile groups, lowest first. `calibration`: None where too few are known.
    """

    base: Estimate
    signals: list[Signal]
    curves: list[tuple[str, list[Signal]]]
    calibration: Calibration | None
    is_sampled: bool


# Labels that rest on feedback are left out: a click would bear witness of itself. With "< 1" the planner expects some of the
# labels, with "= 0" one in two hundred.
_SIGNALS: Final = """
WITH said AS MATERIALIZED (
    SELECT kind, score, prediction_id, item_id FROM labeling_feedback
    WHERE project_id = %(project)s AND superseded_at IS NULL AND epsilon IS NULL AND item_id IS NOT NULL
        AND kind = ANY(%(kinds)s)
    ORDER BY received_at DESC LIMIT %(most)s
)
SELECT array_position(%(kinds)s::text[], said.kind::text)::bigint - 1, COALESCE(said.score, 'NaN')::double precision,
    said.prediction_id, said.item_id, prediction.predicted_class = label.label, (SELECT count(*) FROM said) = %(most)s
FROM said
    JOIN labeling_prediction prediction ON prediction.id = said.prediction_id
    JOIN datasets_acceptedlabel label ON label.item_id = said.item_id AND label.superseded_at IS NULL
WHERE label.label <> '' AND prediction.predicted_class <> ''
    AND COALESCE(jsonb_array_length(CASE jsonb_typeof(label.other_evidence -> 'feedback')
        WHEN 'array' THEN label.other_evidence -> 'feedback' END), 0) < 1"""
_COLUMNS: Final[Columns] = {
    "kind": ">i8", "score": ">f8", "prediction": ">i8", "item": ">i8", "is_right": "?", "is_sampled": "?",
}  # fmt: skip


def signals(project: Project) -> SignalReport | None:
    """Of predictions whose truth others' evidence has told: how often each signal came with a right one, and whether what
    all signals of a prediction together foretell comes true. None without any."""
    values = {"project": project.pk, "most": MOST_SIGNALS, "kinds": [str(kind) for kind in _COUNTED]}
    rows = read(_SIGNALS, values, _COLUMNS)
    said = rows[rows["kind"] != _IMPRESSION]
    if not len(said):
        return None
    kind, score, is_right = said["kind"].astype(np.int64), said["score"].astype(np.float64), said["is_right"]
    _, first = np.unique(said["prediction"].astype(np.int64), return_index=True)
    counted = [signal for place in range(len(_COUNTED)) for signal in _shares(place, kind, score, is_right)]
    measured = [(place, (kind == place) & ~np.isnan(score)) for place in map(_COUNTED.index, _MEASURES)]
    return SignalReport(
        base=proportion_interval(int(is_right[first].sum()), len(first)),
        signals=sorted(counted, key=lambda each: (-each.right.n, each.name)),
        curves=sorted(
            (str(_COUNTED[place].label), _groups(score[chosen], is_right[chosen]))
            for place, chosen in measured
            if chosen.any()
        ),
        calibration=_calibration(rows),
        is_sampled=bool(rows["is_sampled"][0]),
    )


def _shares(
    place: int, kind: NDArray[np.int64], score: NDArray[np.float64], is_right: NDArray[np.bool_]
) -> list[Signal]:
    """Of a kind that is an event or a thumb, how often it came with a right prediction."""
    if _COUNTED[place] == _KINDS.THUMB:
        chosen = {"Thumb up": score >= 0.5, "Thumb down": score < 0.5}
    elif _COUNTED[place] in _EVENTS:
        chosen = {str(_COUNTED[place].label): np.ones(len(score), dtype=np.bool_)}
    else:
        return []
    found = {name: is_right[(kind == place) & among] for name, among in chosen.items()}
    return [
        Signal(name, proportion_interval(int(right.sum()), len(right))) for name, right in found.items() if len(right)
    ]


def _groups(values: NDArray[np.float64], is_right: NDArray[np.bool_]) -> list[Signal]:
    """Groups of about equal size by the value; equal values are never in two groups."""
    place = _grouped(values)
    groups = []
    for group in np.unique(place):
        chosen = place == group
        low, high = values[chosen].min(), values[chosen].max()
        name = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        groups.append(Signal(name, proportion_interval(int(is_right[chosen].sum()), int(chosen.sum()))))
    return groups


def _grouped(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The group of each value, from 0 on."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _GROUPS + 1)))
    place: NDArray[np.int64] = np.clip(
        np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0)
    ).astype(np.int64)
    return place


# -- what they foretell ---------------------------------------------------------------------------------------------


def _calibration(rows: NDArray[np.void]) -> Calibration | None:
    """Of all predictions that a signal came about, or that were seen and none came."""
    _, first, prediction = np.unique(rows["prediction"].astype(np.int64), return_index=True, return_inverse=True)
    if len(first) < LEAST_CALIBRATED:
        return None
    levels, sizes = _levels(rows, prediction, len(first))
    is_right = rows["is_right"][first]
    item = rows["item"].astype(np.int64)[first]
    rng = np.random.default_rng(0)  # so that the page shows the same curve at every look
    foretold = signal_rates.cross_fitted(levels, is_right, item, sizes, rng=rng)
    curve = reliability_curve(foretold, is_right)
    share = float(is_right.mean())
    return Calibration(
        bins=[
            Bin(confidence, proportion_interval(round(accuracy * n), n))
            for confidence, accuracy, n in zip(
                curve.confidence.tolist(), curve.accuracy.tolist(), curve.n.tolist(), strict=True
            )
        ],
        n=len(first),
        expected_error=curve.expected_error,
        brier=float(np.mean((foretold - is_right) ** 2)),
        base_brier=share * (1.0 - share),
    )


def _levels(rows: NDArray[np.void], prediction: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], list[int]]:
    """What came about each prediction by each channel, see `signal_rates.fit`: of several numbers their mean."""
    kind, score = rows["kind"].astype(np.int64), rows["score"].astype(np.float64)
    levels, sizes = np.full((n, _CHANNELS), ABSENT, dtype=np.int64), []
    for place in range(_CHANNELS):
        is_event = _COUNTED[place] in _EVENTS
        chosen = (kind == place) & (is_event | ~np.isnan(score))
        times = np.bincount(prediction[chosen], minlength=n)
        came = times > 0
        if is_event or not came.any():
            levels[came, place] = 1
            sizes.append(2)
            continue
        mean = np.bincount(prediction[chosen], weights=score[chosen], minlength=n)[came] / times[came]
        group = (mean >= 0.5).astype(np.int64) if _COUNTED[place] == _KINDS.THUMB else _grouped(mean)
        levels[came, place] = 1 + group
        sizes.append(2 + int(group.max()))
    return levels, sizes
